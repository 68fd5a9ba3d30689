"""Watch the files that others may change: the catalogs and the database."""

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
    """Return what changes when the file changes, or None if it doesn't exist."""
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_size)


class CatalogWatcher:
    """The watched catalogs: an edit takes effect, one with errors is reported once it has stayed for a second."""

    def __init__(self, paths: Sequence[Path], load: Callable[[], Catalog]) -> None:
        self._paths = paths
        self._load = load
        self._seen = self._stamps()
        self._doubted: list[Stamp | None] | None = None

    def check(self, engine: Engine) -> None:
        """Apply an edit; if it has errors, keep the last valid catalog."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            catalog = self._load()
        except CatalogError as error:
            if stamps != self._doubted:  # perhaps half written: check again
                self._doubted = stamps
                return
            self._seen = stamps
            engine.hub(events.CatalogRefused(error.findings))
            return
        self._seen = stamps
        engine.use(catalog)
        engine.hub(events.CatalogChanged(catalog))

    def _stamps(self) -> list[Stamp | None]:
        return [stamp(path) for path in self._paths]


async def run(clock: Clock, engine: Engine, catalogs: CatalogWatcher, db: Path) -> None:
    """Check the files once a second, until cancelled. Raises StartError when the database was deleted or replaced."""
    first = stamp(db)
    while True:
        await clock.sleep(PERIOD_S)
        engine.check_clock()
        catalogs.check(engine)
        now = stamp(db)
        if now is None or first is None or now[0] != first[0]:
            engine.refuse_jobs()
            raise StartError(
                f"the database {db} was deleted while in use", "Start again: localqueue up creates a new one."
            )
