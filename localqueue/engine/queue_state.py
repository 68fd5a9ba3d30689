"""Track each queue's slots and waiting jobs, and which queues have work, so idle queues cost nothing."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from localqueue.core.models import Queue, QueueKey
from localqueue.engine.prefetch import WINDOW_SIZE, PendingJob, PrefetchWindow, window_size


@dataclass(slots=True, eq=False)
class QueueState:
    """The slots and the next jobs of one queue; `queue` is None while no catalog declares it.

    `is_suspended` holds the queue while others are drained, `is_service_down` while its service doesn't listen.
    `occupied_until` holds instants in ms: an attempt that timed out keeps its slot until then on a clock that stands
    still. `scheduled_for` is the instant, in ms, at which the queue is looked at next if nothing changes before.
    """

    key: QueueKey
    queue: Queue | None = None
    is_paused: bool = False
    is_suspended: bool = False
    is_service_down: bool = False
    window: PrefetchWindow = field(default_factory=lambda: PrefetchWindow(WINDOW_SIZE))
    slots_taken: int = 0
    occupied_until: list[int] = field(default_factory=list)
    scheduled_for: int | None = None

    def configure(self, queue: Queue | None, is_paused: bool) -> None:
        """Apply the settings of a catalog."""
        self.queue, self.is_paused = queue, is_paused
        if queue is not None:
            self.window.limit = window_size(queue.concurrency)

    @property
    def needs_load(self) -> bool:
        """Return whether jobs of the queue should be read from disk."""
        return self.queue is not None and self.window.needs_load

    @property
    def is_held(self) -> bool:
        """Return whether no attempt of the queue may start."""
        return self.queue is None or self.is_paused or self.is_suspended or self.is_service_down

    def free(self, now: int) -> int:
        """Return how many attempts may start now."""
        if self.queue is None or self.is_held:
            return 0
        if self.occupied_until:
            self.occupied_until = [until for until in self.occupied_until if until > now]
        return self.queue.concurrency - self.slots_taken - len(self.occupied_until)

    def take_due(self, now: int) -> Iterator[PendingJob]:
        """Take every job that is due and has a slot."""
        for _ in range(self.free(now)):
            pending = self.window.take_due(now)
            if pending is None:
                return
            yield pending

    def next_start(self, now: int) -> int | None:
        """Return when the next job can start without waiting for a running attempt, in ms, or None."""
        due = None if self.is_held else self.window.next_due()
        if due is None or self.free(now) > 0:
            return due
        return max(due, min(self.occupied_until)) if self.occupied_until else None


class QueueStates:
    """The state of every queue, and the queues to look at next: changed ones, and those with a job that is due.

    Whoever changes a state marks it as changed, or the schedule is wrong.
    """

    def __init__(self) -> None:
        self.by_key: dict[QueueKey, QueueState] = {}
        self._changed: dict[QueueState, None] = {}
        self._schedule: list[tuple[int, QueueKey, QueueState]] = []

    def configure(self, queues: Mapping[QueueKey, Queue], paused: Collection[QueueKey]) -> None:
        """Apply a catalog; queues that it lacks and paused queues are held."""
        for key in {**self.by_key, **queues}:  # not a set: the order must not depend on hashes
            self.by_key.setdefault(key, QueueState(key)).configure(queues.get(key), key in paused)
        self.mark_all_changed()

    def mark_changed(self, state: QueueState) -> None:
        """Look at a queue the next time."""
        self._changed[state] = None

    def mark_all_changed(self) -> None:
        """Look at every queue the next time."""
        self._changed.update(dict.fromkeys(self.by_key.values()))

    @property
    def changed(self) -> Iterable[QueueState]:
        """Return the queues that were marked as changed since the last look."""
        return tuple(self._changed)

    def take_ready(self, now: int) -> list[QueueState]:
        """Return the queues to look at now; schedule each one again afterwards."""
        ready, self._changed = self._changed, {}
        while self._schedule and self._schedule[0][0] <= now:
            at, _, state = heapq.heappop(self._schedule)
            if state.scheduled_for == at:
                state.scheduled_for = None
                ready[state] = None
        return list(ready)

    def schedule(self, state: QueueState, now: int) -> None:
        """Schedule the next look at a queue, for the case that nothing changes before."""
        at = state.next_start(now)
        if at is not None and at != state.scheduled_for:
            heapq.heappush(self._schedule, (at, state.key, state))
        state.scheduled_for = at

    def next_start(self, now: int) -> int | None:
        """Return when the next job can start without waiting for a running attempt, in ms, or None."""
        for state in self._changed:  # what was scheduled for it before no longer holds
            self.schedule(state, now)
        while self._schedule and self._schedule[0][2].scheduled_for != self._schedule[0][0]:
            heapq.heappop(self._schedule)
        return self._schedule[0][0] if self._schedule else None
