"""Hold the next pending jobs of one queue in memory, in order; the rest stays on disk."""

from __future__ import annotations

import heapq

from localqueue.core.models import Job
from localqueue.core.records import record

WINDOW_SIZE = 256
"""How many jobs one load reads, where a queue has few slots; memory holds at most twice as many."""
SMALL_PAYLOAD = 16 * 1024
"""Payloads of more bytes aren't held in memory; they are read again when their job starts."""

DispatchOrder = tuple[int, int]
"""The due time in ms and the enqueue sequence of a job: jobs start in this order."""
_BEGINNING: DispatchOrder = (-(2**62), 0)


@record
class PendingJob:
    """A pending job, with its data if that is in memory."""

    job: Job
    data: bytes | None = None

    @property
    def order(self) -> DispatchOrder:
        """Return the job's place in the order of dispatch."""
        return (self.job.due_ms, self.job.seq)


def window_size(slots: int) -> int:
    """Return a size with which a window always knows more jobs than there are slots, if there are more."""
    return max(WINDOW_SIZE, 4 * slots)


class PrefetchWindow:
    """The first pending jobs of a queue.

    Every pending job up to `_horizon` (all of them if it is None) is either held here or taken. A job is taken from
    the moment that it starts, or is about to be changed, until it is put back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._heap: list[DispatchOrder] = []
        self._held: dict[int, PendingJob] = {}
        self._taken: set[int] = set()
        self._horizon: DispatchOrder | None = _BEGINNING
        self._requested = 0  # how many jobs the running load asked for
        self._touched: set[int] | None = None  # None while no load runs
        self._arrived: dict[int, PendingJob] = {}  # beyond the old horizon, perhaps not beyond the next one

    def __len__(self) -> int:
        return len(self._held)

    @property
    def needs_load(self) -> bool:
        """Return whether there may be more jobs on disk and it is time to read them."""
        return self._horizon is not None and self._touched is None and len(self._held) <= self.limit // 4

    def offer(self, job: Job, data: bytes | None = None) -> None:
        """Add a job that is pending on disk, unless it lies beyond the horizon."""
        pending = PendingJob(job, data if data is not None and len(data) <= SMALL_PAYLOAD else None)
        self._touch(job.seq)
        if job.seq in self._taken:
            return
        if self._is_within(pending.order):
            self._hold(pending)
            self._trim()
        elif self._touched is not None:
            self._arrived[job.seq] = pending

    def next_due(self) -> int | None:
        """Return when the first job is due, in ms, or None."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def is_clear(self, until: int | None) -> bool:
        """Return whether no job is due up to `until` in ms (None: ever), neither in memory nor on disk."""
        due = self.next_due()
        if due is not None and (until is None or due <= until):
            return False
        return self._horizon is None or (until is not None and self._horizon[0] > until)

    def take_due(self, now_ms: int) -> PendingJob | None:
        """Take the first job if it is due."""
        due = self.next_due()
        if due is None or due > now_ms:
            return None
        return self.take(heapq.heappop(self._heap)[1])

    def take(self, seq: int) -> PendingJob | None:
        """Take a job, in memory or not, so that nobody else starts or changes it."""
        self._taken.add(seq)
        self._arrived.pop(seq, None)
        return self._held.pop(seq, None)

    def put_back(self, seq: int) -> None:
        """Release a taken job; offer it next if it is still pending."""
        self._touch(seq)
        self._taken.discard(seq)

    def emptied(self) -> PrefetchWindow:
        """Return a window that holds no job and knows that none is on disk."""
        window = PrefetchWindow(self.limit)
        window._horizon = None
        return window

    def reloaded(self) -> PrefetchWindow:
        """Return a window that reads everything again; taken jobs stay taken."""
        window = PrefetchWindow(self.limit)
        window._taken = self._taken
        return window

    def begin_load(self) -> tuple[DispatchOrder, int]:
        """Return behind which place to read from disk, and how many jobs."""
        self._touched, self._requested = set(), self.limit
        return self._horizon or _BEGINNING, self._requested

    def end_load(self, loaded: list[PendingJob]) -> None:
        """Add loaded jobs, except those that changed during the load: memory knows them better."""
        touched, self._touched = self._touched or set(), None
        arrived, self._arrived = self._arrived, {}
        self._horizon = loaded[-1].order if len(loaded) == self._requested else None
        unchanged = [pending for pending in loaded if pending.job.seq not in touched]
        for pending in (*unchanged, *arrived.values()):
            if pending.job.seq not in self._taken and self._is_within(pending.order):
                self._hold(pending)
        self._trim()

    def fail_load(self) -> None:
        """End a load that failed."""
        self._touched = None
        self._arrived = {}

    def _is_within(self, order: DispatchOrder) -> bool:
        return self._horizon is None or order <= self._horizon

    def _hold(self, pending: PendingJob) -> None:
        self._held[pending.job.seq] = pending
        heapq.heappush(self._heap, pending.order)

    def _trim(self) -> None:
        """Leave jobs above the limit to the disk; not during a load, which starts from the old horizon."""
        if len(self._held) <= 2 * self.limit or self._touched is not None:
            return
        kept = heapq.nsmallest(self.limit, (pending.order for pending in self._held.values()))
        self._heap = kept
        self._held = {seq: self._held[seq] for _, seq in kept}
        self._horizon = kept[-1]

    def _drop_stale(self) -> None:
        while self._heap:
            pending = self._held.get(self._heap[0][1])
            if pending is not None and pending.order == self._heap[0]:
                return
            heapq.heappop(self._heap)

    def _touch(self, seq: int) -> None:
        if self._touched is not None:
            self._touched.add(seq)
