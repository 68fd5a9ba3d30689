"""Know each queue's backlog and slots, and which of them are worth a look: not one glance at the other hundred."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from localqueue.core.models import Queue, QueueKey
from localqueue.engine.prefetch import WINDOW_SIZE, PendingJob, PrefetchWindow, window_size


@dataclass(slots=True, eq=False)
class QueueState:
    """Hold what is known of one queue; `queue` is None while no catalog declares it.

    `owed` are the instants until which attempts that timed out keep their slot on a clock that stands still;
    `planned` is the instant for which a look at it is planned.
    """

    key: QueueKey
    queue: Queue | None = None
    is_paused: bool = False
    backlog: PrefetchWindow = field(default_factory=lambda: PrefetchWindow(WINDOW_SIZE))
    slots_taken: int = 0
    owed: list[int] = field(default_factory=list)
    planned: int | None = None

    def configure(self, queue: Queue | None, is_paused: bool) -> None:
        """Follow a catalog."""
        self.queue, self.is_paused = queue, is_paused
        if queue is not None:
            self.backlog.limit = window_size(queue.concurrency)

    def forget_jobs(self) -> None:
        """Forget every job: those that are still on disk are read again."""
        self.backlog = PrefetchWindow(self.backlog.limit)

    @property
    def needs_load(self) -> bool:
        """Return whether jobs of the queue are to be read from disk."""
        return self.queue is not None and self.backlog.needs_load

    @property
    def is_held(self) -> bool:
        """Return whether nothing of the queue may be started."""
        return self.queue is None or self.is_paused

    def free(self, now: int) -> int:
        """Return how many attempts may be started now."""
        if self.queue is None or self.is_paused:
            return 0
        if self.owed:
            self.owed = [until for until in self.owed if until > now]
        return self.queue.concurrency - self.slots_taken - len(self.owed)

    def take_due(self, now: int) -> Iterator[PendingJob]:
        """Take every job that is due and has a slot."""
        for _ in range(self.free(now)):
            entry = self.backlog.take_due(now)
            if entry is None:
                return
            yield entry

    def next_start(self, now: int) -> int | None:
        """Return when the next job can be started without waiting for an attempt under way, or None."""
        due = None if self.is_held else self.backlog.next_due()
        if due is None or self.free(now) > 0:
            return due
        return max(due, min(self.owed)) if self.owed else None


class QueueStates:
    """Hold every lane, and which of them to look at: those with news, and those with a job that is due.

    Whoever changes a lane notes it; the plan is wrong otherwise.
    """

    def __init__(self) -> None:
        self.all: dict[QueueKey, QueueState] = {}
        self._news: dict[QueueState, None] = {}
        self._plan: list[tuple[int, QueueKey, QueueState]] = []

    def configure(self, queues: Mapping[QueueKey, Queue], paused: Collection[QueueKey]) -> None:
        """Follow a catalog: what it lacks, and what is paused, is held."""
        for key in {**self.all, **queues}:  # no set: the order must not depend on hashes
            self.all.setdefault(key, QueueState(key)).configure(queues.get(key), key in paused)
        self.note_all()

    def note(self, lane: QueueState) -> None:
        """Look at a lane the next time: something about it has changed."""
        self._news[lane] = None

    def note_all(self) -> None:
        """Look at every lane the next time."""
        self._news.update(dict.fromkeys(self.all.values()))

    @property
    def with_news(self) -> Iterable[QueueState]:
        """Return the lanes that were noted since the last look."""
        return tuple(self._news)

    def look(self, now: int) -> list[QueueState]:
        """Return the lanes worth a look; each is to be planned again after it."""
        found, self._news = self._news, {}
        while self._plan and self._plan[0][0] <= now:
            at, _, lane = heapq.heappop(self._plan)
            if lane.planned == at:
                lane.planned = None
                found[lane] = None
        return list(found)

    def plan(self, lane: QueueState, now: int) -> None:
        """Plan when to look at a lane if nothing changes until then."""
        at = lane.next_start(now)
        if at is not None and at != lane.planned:
            heapq.heappush(self._plan, (at, lane.key, lane))
        lane.planned = at

    def next_start(self, now: int) -> int | None:
        """Return when the next job can be started without waiting for an attempt under way, or None."""
        while self._plan and self._plan[0][2].planned != self._plan[0][0]:
            heapq.heappop(self._plan)
        starts = [at for lane in self._news if (at := lane.next_start(now)) is not None]
        if self._plan:
            starts.append(self._plan[0][0])
        return min(starts, default=None)
