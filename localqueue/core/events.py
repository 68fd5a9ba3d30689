"""What happens in the server. The wording is in `cli/output/event_log.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from localqueue.core.explanations import Explanation
from localqueue.core.models import Attempt, Catalog, Finding, Firing, Job, Rejection
from localqueue.core.records import record


@record
class Enqueued:
    """A new job, which is on disk."""

    job: Job


@record
class Started:
    """The start of an attempt, in ms; `job` includes it."""

    job: Job
    started_ms: int


@record
class AttemptEnded:
    """The end of an attempt, which is on disk, and what that end means, if there is more to say than the status."""

    job: Job
    attempt: Attempt
    explanation: Explanation | None = None


@record
class Changed:
    """A change of a job by hand, which is on disk: it was cancelled or retried."""

    job: Job


@record
class JobsDeleted:
    """A deletion of finished jobs by hand."""

    count: int


@record
class ServiceChanged:
    """A change of what is known about a service whose jobs wait for it: whether it listens on its target."""

    namespace: str
    target: str
    is_listening: bool


@record
class HoldChanged:
    """A change by hand of a running attempt: whether it may take longer than timeoutMs."""

    job: Job
    is_held: bool
    timeout_ms: int


@record
class TimeMoved:
    """A move of the clock: the time that it shows now and the sum of all moves, in ms."""

    now_ms: int
    offset_ms: int


@record
class WasReset:
    """A reset: every job is deleted and the initial state is restored."""


@record
class CatalogChanged:
    """An edited catalog that has taken effect."""

    catalog: Catalog


@record
class CatalogRefused:
    """An edited catalog with errors; the last valid version is still in use."""

    findings: tuple[Finding, ...]


@record
class Configured:
    """A change of a queue's settings, target or pause by hand."""


@record
class ScheduleFired:
    """The end of a firing of a schedule."""

    firing: Firing


@record
class Rejected:
    """A refused request. `is_news` is False for repetitions that logs leave out."""

    rejection: Rejection
    is_news: bool


@record
class Warned:
    """A warning for the user."""

    message: str


@record
class Stopping:
    """The start of a stop, and how many running attempts it waits for."""

    running: int


@record
class Stopped:
    """The end of everything: nothing happens afterwards."""


Event = (
    Enqueued
    | Started
    | AttemptEnded
    | Changed
    | JobsDeleted
    | ServiceChanged
    | HoldChanged
    | TimeMoved
    | WasReset
    | CatalogChanged
    | CatalogRefused
    | Configured
    | ScheduleFired
    | Rejected
    | Warned
    | Stopping
    | Stopped
)
Report = Callable[[Event], None]


class Hub:
    """The listeners of all events."""

    def __init__(self, report: Report) -> None:
        self._listeners: list[Report] = [report]
        self._specialists: dict[type, list[Report]] = {}

    def __call__(self, event: Event) -> None:
        """Call every listener."""
        for listener in tuple(self._listeners):
            listener(event)
        for listener in self._specialists.get(type(event), ()):
            listener(event)

    def add(self, listener: Report) -> None:
        """Add a listener for all events."""
        self._listeners.append(listener)

    def add_for(self, kinds: Iterable[type], listener: Report) -> None:
        """Add a listener for some kinds of events: jobs cause many, and each call costs time."""
        for kind in kinds:
            self._specialists.setdefault(kind, []).append(listener)

    def remove(self, listener: Report) -> None:
        """Remove a listener."""
        self._listeners.remove(listener)

    @contextlib.contextmanager
    def listening(self, listener: Report) -> Iterator[None]:
        """Add a listener for the time of a block."""
        self.add(listener)
        try:
            yield
        finally:
            self.remove(listener)
