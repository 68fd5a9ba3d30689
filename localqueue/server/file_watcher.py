"""Watch the files that others may change: the catalogs and the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import CatalogError, StartError
from localqueue.core.models import Catalog
from localqueue.engine.engine import Engine
from localqueue.store.database_lock import log_of

PERIOD_S = 1.0
STABLE_S = 0.2
"""How long a file must stay unchanged before it is read: an editor may still be writing it."""
EMPTY_CHECKS = 5
"""After how many checks a file that stays empty or missing is reported."""
Stamp = tuple[int, int, int]
Stamps = list[Stamp | None]


def stamp(path: Path) -> Stamp | None:
    """Return what changes when the file changes, or None if it doesn't exist."""
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_size)


def stamps(paths: Sequence[Path]) -> Stamps:
    """Return the stamp of each file."""
    return [stamp(path) for path in paths]


class CatalogWatcher:
    """The watched catalogs. A valid edit takes effect; otherwise the last valid catalog stays in use.

    `seen` holds the stamps that the files had before the catalog in use was read.
    """

    def __init__(self, clock: Clock, paths: Sequence[Path], load: Callable[[], Catalog], seen: Stamps) -> None:
        self._clock = clock
        self._paths = paths
        self._load = load
        self._seen = seen
        self._empty_checks = 0

    async def check(self, engine: Engine) -> None:
        """Apply an edit that is complete."""
        now = stamps(self._paths)
        if now == self._seen:
            return
        empty = [
            path for path, file_stamp in zip(self._paths, now, strict=True) if file_stamp is None or file_stamp[2] == 0
        ]
        if empty:
            self._wait_for_content(engine, empty)
            return
        await self._clock.sleep(STABLE_S)
        if stamps(self._paths) == now:
            await self._reload(engine, now)

    def _wait_for_content(self, engine: Engine, empty: Sequence[Path]) -> None:
        """Report an empty or missing file only if it stays so: editors empty a file before they write it."""
        self._empty_checks += 1
        if self._empty_checks == EMPTY_CHECKS:
            names = ", ".join(map(str, empty))
            problem = "is empty or missing" if len(empty) == 1 else "are empty or missing"
            engine.hub(events.Warned(f"{names} {problem}; the last valid catalog is still in use"))

    async def _reload(self, engine: Engine, seen: Stamps) -> None:
        try:
            catalog = await asyncio.to_thread(self._load)  # a large catalog takes a second
        except CatalogError as error:
            if stamps(self._paths) == seen:
                self._accept(seen)
                engine.hub(events.CatalogRefused(error.findings))
            return
        if stamps(self._paths) == seen:  # else it changed while it was read
            self._accept(seen)
            engine.use(catalog)
            engine.hub(events.CatalogChanged(catalog))

    def _accept(self, seen: Stamps) -> None:
        self._seen, self._empty_checks = seen, 0


async def run(clock: Clock, engine: Engine, catalogs: CatalogWatcher, db: Path) -> None:
    """Check the files once a second, until cancelled. Raises StartError when the database or its log was deleted."""
    files = {
        db: (f"the database {db} was deleted while in use", "Start again: localqueue up creates a new one."),
        log_of(db): (
            f"{log_of(db)}, the log of the database, was deleted while in use",
            "The stop writes everything into the database. Start again: localqueue up",
        ),
    }
    first = {path: _inode(path) for path in files}
    while True:
        await clock.sleep(PERIOD_S)
        engine.check_clock()
        await catalogs.check(engine)
        for path, (message, hint) in files.items():
            if first[path] is None or _inode(path) != first[path]:
                engine.refuse_jobs()
                raise StartError(message, hint)


def _inode(path: Path) -> int | None:
    file_stamp = stamp(path)
    return None if file_stamp is None else file_stamp[0]
