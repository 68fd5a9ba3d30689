"""Look once a second at the files that others may change: the catalogs and the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import CatalogError, StartError
from localqueue.core.models import Catalog
from localqueue.engine.engine import Engine

PERIOD_S = 1.0
Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp | None:
    """Return what changes when the file does, or None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


class CatalogWatcher:
    """Reload the catalogs when one was edited; report a wrong edit once it has stayed for a second."""

    def __init__(self, paths: Sequence[Path], load: Callable[[], Catalog]) -> None:
        self._paths = paths
        self._load = load
        self._seen = self._stamps()
        self._doubted: list[Stamp | None] | None = None

    def look(self, engine: Engine, report: events.Report) -> None:
        """Let a good edit take effect; keep the last good catalog otherwise."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            catalog = self._load()
        except CatalogError as error:
            if stamps != self._doubted:  # perhaps half written: look again
                self._doubted = stamps
                return
            self._seen = stamps
            report(events.CatalogRefused(error.findings))
            return
        self._seen = stamps
        engine.use(catalog)
        report(events.CatalogChanged(catalog))

    def _stamps(self) -> list[Stamp | None]:
        return [stamp(path) for path in self._paths]


async def run(clock: Clock, engine: Engine, catalogs: CatalogWatcher, db: Path, report: events.Report) -> None:
    """Look at the files for ever. Raises StartError when the database was deleted or replaced."""
    first = stamp(db)
    while True:
        await clock.sleep(PERIOD_S)
        engine.check_clock()
        catalogs.look(engine, report)
        found = stamp(db)
        if found is None or first is None or found[0] != first[0]:
            engine.refuse_jobs()
            raise StartError(f"the database {db} was deleted while in use", "Start again: a new one is made.")
