"""Cut the write-ahead log where a power failure could: what was acknowledged before the cut is there."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

from tests.support import serving, write_catalog

JOBS = 60


def cuts(count: int, seed: int) -> str:
    """Cut the log at `count` random bytes behind each acknowledgement."""
    rng, checked = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder, copies = Path(name), Path(name) / "copy"
        copies.mkdir()
        sizes = _acknowledge(folder, copies)
        whole = (copies / "queue.db-wal").read_bytes()
        for _ in range(count):
            at = rng.randrange(sizes[0][0], len(whole) + 1)
            acknowledged = [id_ for size, id_ in sizes if size <= at]
            assert set(acknowledged) <= _survivors(copies, whole[:at]), f"cut at {at}"
            checked += len(acknowledged)
    return f"{count:,} cuts, {checked:,} acknowledged jobs looked for, none missing"


def _acknowledge(folder: Path, copies: Path) -> list[tuple[int, str]]:
    """Return the size of the log after each acknowledgement, and the job's ID; copy the files at the end."""
    write_catalog(folder)
    database = folder / ".localqueue" / "queue.db"
    sizes = []
    with serving(folder, "--clock", "virtual") as server:
        for number in range(JOBS):
            id_ = server.enqueue({"number": number, "filling": "x" * (number * 37)})
            sizes.append(((folder / ".localqueue" / "queue.db-wal").stat().st_size, id_))
        for suffix in ("", "-wal"):
            shutil.copy(f"{database}{suffix}", copies)
    return sizes


def _survivors(copies: Path, wal: bytes) -> set[str]:
    with tempfile.TemporaryDirectory() as name:
        database = Path(name) / "queue.db"
        shutil.copy(copies / "queue.db", database)
        Path(f"{database}-wal").write_bytes(wal)
        connection = sqlite3.connect(database)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = {row[0] for row in connection.execute("SELECT id FROM jobs")}
        connection.close()
        return found
