"""Keep a database to one server, and remember whether that server stopped cleanly."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from localqueue.core.errors import DatabaseInUse, DatabaseUnusable
from localqueue.store import files


class DatabaseLock:
    """The lock of a database for one server; the system releases it however the process ends.

    The lock is on the database itself, so that it holds for each of its names. `PATH.lock` tells who has it.
    """

    def __init__(self, db: Path) -> None:
        self._db = db
        self._note = db.with_name(db.name + ".lock")
        self._descriptor = -1
        self.lost_log = ""
        """What to tell if the last server did not stop cleanly and its log is gone, or the empty string."""

    def acquire(self) -> None:
        """Take the lock; the database is created if it doesn't exist.

        Raises DatabaseInUse, which names the holder, and DatabaseUnusable.
        """
        self._descriptor = files.open_private(self._db)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise DatabaseInUse(
                f"the database {self._db} is in use by another localqueue{self._holder()}",
                "Use or stop that server, or start a second one: localqueue up --ephemeral --port 0",
            ) from None
        log = log_of(self._db)
        if self._read().get("is_open") and not log.exists():
            self.lost_log = (
                f"{log} is missing, though the last server did not stop cleanly: jobs that it accepted may be lost"
            )

    def write_holder(self, port: int, *, is_open: bool) -> None:
        """Write who holds the lock, and whether the database is open. Raises DatabaseUnusable."""
        files.write_private(self._note, json.dumps({"pid": os.getpid(), "port": port, "is_open": is_open}))

    def mark_closed(self, port: int) -> None:
        """Write that the database is about to be closed; a full disk must not turn that into a failure."""
        with contextlib.suppress(DatabaseUnusable):
            self.write_holder(port, is_open=False)

    def close(self) -> None:
        """Release the lock. The database must be closed by then: this would take SQLite's own locks away."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _holder(self) -> str:
        try:
            holder = self._read()
            return f", pid {int(holder['pid'])}, port {int(holder['port'])}"
        except (ValueError, KeyError, TypeError):
            return ", which has just started"

    def _read(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}


def log_of(db: Path) -> Path:
    """Return the path of the write-ahead log of a database."""
    return db.with_name(db.name + "-wal")
