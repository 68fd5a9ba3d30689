"""Name what happens in the server, for whoever wants to tell of it; the wording sits in `cli/report.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from localqueue.core.models import Attempt, Catalog, Finding, Job
from localqueue.core.records import record


@record
class Enqueued:
    """Tell that a new job is on disk."""

    job: Job


@record
class Started:
    """Tell that an attempt of a job was started, and when; the job as it is with it."""

    job: Job
    started_ms: int


@record
class AttemptEnded:
    """Tell that an attempt has ended and is on disk."""

    job: Job
    attempt: Attempt


@record
class Changed:
    """Tell that a job was changed by hand and that this is on disk: cancelled, or retried."""

    job: Job


@record
class TimeMoved:
    """Tell that the clock was moved, what it shows now, and by how much it has been moved in all, in ms."""

    now_ms: int
    offset_ms: int


@record
class WasReset:
    """Tell that every job is gone and the state after the start is restored."""


@record
class CatalogChanged:
    """Tell that an edited catalog has taken effect."""

    catalog: Catalog


@record
class CatalogRefused:
    """Tell that an edited catalog is wrong; the last good one stays."""

    findings: tuple[Finding, ...]


@record
class Configured:
    """Tell that settings, the target or the pause of a queue were changed by hand."""


@record
class Warned:
    """Tell something that the user should know."""

    message: str


@record
class Stopping:
    """Tell that a stop has begun, and how many attempts it waits for."""

    running: int


@record
class Stopped:
    """Tell that nothing happens any more."""


Event = (
    Enqueued
    | Started
    | AttemptEnded
    | Changed
    | TimeMoved
    | WasReset
    | CatalogChanged
    | CatalogRefused
    | Configured
    | Warned
    | Stopping
    | Stopped
)
Report = Callable[[Event], None]


class Hub:
    """Tell several listeners of what happens."""

    def __init__(self, report: Report) -> None:
        self._listeners: list[Report] = [report]
        self._specialists: dict[type, list[Report]] = {}

    def __call__(self, event: Event) -> None:
        """Tell all of them."""
        for listener in tuple(self._listeners):
            listener(event)
        for listener in self._specialists.get(type(event), ()):
            listener(event)

    def add(self, listener: Report) -> None:
        """Tell one more of everything from now on."""
        self._listeners.append(listener)

    def add_for(self, kinds: Iterable[type], listener: Report) -> None:
        """Tell one more of some kinds of events: a job's own events are many, and each call costs."""
        for kind in kinds:
            self._specialists.setdefault(kind, []).append(listener)

    def remove(self, listener: Report) -> None:
        """Tell one no more."""
        self._listeners.remove(listener)

    @contextlib.contextmanager
    def listening(self, listener: Report) -> Iterator[None]:
        """Tell one more for a while."""
        self.add(listener)
        try:
            yield
        finally:
            self.remove(listener)
