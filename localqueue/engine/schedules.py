"""Fire schedules: call their endpoints, by the clock or by hand. Firings aren't jobs and aren't retried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localqueue.catalog import cron
from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import NotFound, OutOfResources, WrongState
from localqueue.core.models import SCHEDULE_PREFIX, Firing, Queue, QueueKey, Request, Schedule
from localqueue.core.text import cut, nearest, safe
from localqueue.core.times import iso
from localqueue.engine.executor import Deliverer

BODY = b"{}"


@dataclass(frozen=True, slots=True)
class ScheduleSnapshot:
    """A schedule with the target of its service, its next firing in ms (None: not by the clock), and its latest one."""

    schedule: Schedule
    target: str
    next_ms: int | None
    last: Firing | None


class Schedules:
    """The schedules of all services; `is_enabled` says whether the clock fires them."""

    def __init__(
        self, active: ActiveCatalog, clock: Clock, deliverer: Deliverer, hub: events.Hub, is_enabled: bool
    ) -> None:
        self._active = active
        self._clock = clock
        self._deliverer = deliverer
        self._hub = hub
        self._next: dict[QueueKey, int] = {}
        self._known: Mapping[QueueKey, Schedule] = {}
        self._last: dict[QueueKey, Firing] = {}
        self._tasks: set[asyncio.Task[Firing]] = set()
        self._changed = asyncio.Event()
        self.is_enabled = is_enabled

    def configure(self) -> None:
        """Take the schedules in force; the next firing of a new or changed one is the first from now on."""
        schedules = self._active.catalog.schedules
        for key, schedule in schedules.items():
            if self._known.get(key) != schedule:
                self._plan(schedule)
        self._next = {key: ms for key, ms in self._next.items() if key in schedules}
        self._known = schedules
        self._changed.set()

    def restart(self) -> None:
        """Forget what was fired, and plan from now on: the clock was set back."""
        self._last, self._known = {}, {}
        for task in self._tasks:
            task.cancel()
        self.configure()

    def _plan(self, schedule: Schedule) -> None:
        self._next[schedule.key] = cron.next_after(schedule.cron, schedule.timezone, self._clock.now())

    # by the clock

    @property
    def is_idle(self) -> bool:
        """Return whether no firing is running."""
        return not self._tasks

    def next_due(self) -> int | None:
        """Return the next instant at which a schedule fires, in ms; None if the clock fires none."""
        return min(self._next.values(), default=None) if self.is_enabled else None

    def fire_due(self) -> bool:
        """Start the firings that are due now, in the order of their instants; return whether there are any."""
        now = self._clock.now()
        due = sorted((ms, key) for key, ms in self._next.items() if ms <= now) if self.is_enabled else []
        for _, key in due:
            schedule = self._known[key]
            self._plan(schedule)  # what was missed while the machine slept is fired once
            self._start(schedule)
        return bool(due)

    async def wait_idle(self) -> None:
        """Return once no firing is running."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def run(self) -> None:
        """Fire every schedule at its instant, until cancelled. For clocks that run."""
        while True:
            self._changed.clear()
            await self._clock.wait(self.next_due(), self._changed)
            self.fire_due()

    def wake(self) -> None:
        """Look at the clock again: it has been moved."""
        self._changed.set()

    # by hand

    async def trigger(self, namespace: str, name: str) -> Firing:
        """Fire a schedule now; return how it ended.

        Raises NotFound (unknown_schedule), WrongState if a reset or the stop cuts it off, OutOfResources.
        """
        task = self._start(self._find((namespace, name)))
        await asyncio.wait([task])
        if task.cancelled():
            raise WrongState(
                f"the firing of {namespace}/{name} was cut off by a reset or by the stop of the server",
                f"To fire it again: localqueue trigger {namespace}/{name}",
            )
        return task.result()

    def _find(self, key: QueueKey) -> Schedule:
        schedules = self._active.catalog.schedules
        if key in schedules:
            return schedules[key]
        known = [f"{namespace}/{name}" for namespace, name in schedules]
        others = ", ".join(nearest(cut("/".join(key), 256), known)[:20]) or "none"
        raise NotFound(
            f"unknown schedule {safe('/'.join(key))!r}; declared: {others}",
            "To list the schedules: localqueue schedules",
            code="unknown_schedule",
        )

    def snapshots(self) -> Iterable[ScheduleSnapshot]:
        """Return every schedule in the order of the catalogs."""
        targets = self._active.targets
        for key, schedule in self._active.catalog.schedules.items():
            next_ms = self._next.get(key) if self.is_enabled else None
            yield ScheduleSnapshot(schedule, targets[key[0]], next_ms, self._last.get(key))

    def _start(self, schedule: Schedule) -> asyncio.Task[Firing]:
        task = asyncio.create_task(self._fire(schedule, self._clock.now()), name=f"schedule {schedule.name}")
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Firing]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it was reported

    async def close(self) -> None:
        """Cut off the running firings."""
        for task in self._tasks:
            task.cancel()
        await self.wait_idle()

    async def _fire(self, schedule: Schedule, fired_ms: int) -> Firing:
        """Call the endpoint once. Source: platform reference for the headers; our decision: no retries, body `{}`."""
        url = self._active.targets[schedule.namespace] + schedule.endpoint
        headers = (
            ("Content-Type", "application/json"),
            ("X-Schedule-Name", schedule.name),
            ("X-Cron-Expression", schedule.cron),
            ("X-Fired-At", iso(fired_ms)),
        )
        queue = Queue(
            schedule.namespace, f"{SCHEDULE_PREFIX}{schedule.name}", schedule.endpoint, timeout_ms=schedule.timeout_ms
        )
        started = self._clock.monotonic()
        try:
            outcome = await self._deliverer.begin(queue)(Request(url, BODY, schedule.timeout_ms, headers))
        except OutOfResources as error:
            self._hub(events.Warned(f"schedule {schedule.namespace}/{schedule.name} was not fired: {error.message}"))
            raise
        firing = Firing(schedule, fired_ms, round((self._clock.monotonic() - started) * 1000), url, outcome)
        self._last[schedule.key] = firing
        self._hub(events.ScheduleFired(firing))
        return firing
