"""Hold the next pending jobs of one queue in order; the rest stays on disk."""

from __future__ import annotations

import heapq

from localqueue.core.models import Job
from localqueue.core.records import record

WINDOW_SIZE = 256
"""How many jobs are read from disk at once, where a queue has few slots; at most twice as many are held."""
SMALL_PAYLOAD = 16 * 1024
"""A payload over this many bytes is not held but read again when its job starts."""

DispatchOrder = tuple[int, int]
_BEGINNING: DispatchOrder = (-(2**62), 0)


@record
class PendingJob:
    """Hold a pending job, with its data where that is at hand."""

    job: Job
    data: bytes | None = None

    @property
    def key(self) -> DispatchOrder:
        """Return what the order of dispatch goes by: due time, then enqueue sequence."""
        return (self.job.due_ms, self.job.seq)


def window_size(slots: int) -> int:
    """Return a limit with which a backlog always knows more jobs than there are slots, if there are more."""
    return max(WINDOW_SIZE, 4 * slots)


class PrefetchWindow:
    """Know the smallest pending jobs of a queue.

    Every pending job up to `_horizon` (all of them where it is None) is either held here or taken.
    A job is taken from the moment it is started, or about to be changed, until it is put back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._heap: list[DispatchOrder] = []
        self._held: dict[int, PendingJob] = {}
        self._taken: set[int] = set()
        self._horizon: DispatchOrder | None = _BEGINNING
        self._asked = 0  # how many jobs the load under way asked for
        self._touched: set[int] | None = None  # while a load is under way
        self._arrived: dict[int, PendingJob] = {}  # beyond the old horizon, perhaps not beyond the next

    def __len__(self) -> int:
        return len(self._held)

    @property
    def needs_load(self) -> bool:
        """Return whether there may be more on disk and it is time to look."""
        return self._horizon is not None and self._touched is None and len(self._held) <= self.limit // 4

    def offer(self, job: Job, data: bytes | None = None) -> None:
        """Add a job that is pending on disk; one that lies beyond the horizon stays there."""
        entry = PendingJob(job, data if data is not None and len(data) <= SMALL_PAYLOAD else None)
        self._touch(job.seq)
        if job.seq in self._taken:
            return
        if self._is_within(entry.key):
            self._hold(entry)
            self._trim()
        elif self._touched is not None:
            self._arrived[job.seq] = entry

    def next_due(self) -> int | None:
        """Return when the first job is due, in ms, or None."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def is_clear(self, until: int | None) -> bool:
        """Return whether no job waits that is due up to `until` (None: ever), neither here nor on disk."""
        due = self.next_due()
        if due is not None and (until is None or due <= until):
            return False
        return self._horizon is None or (until is not None and self._horizon[0] > until)

    def take_due(self, now_ms: int) -> PendingJob | None:
        """Take the first job, if it is due."""
        due = self.next_due()
        if due is None or due > now_ms:
            return None
        return self.take(heapq.heappop(self._heap)[1])

    def take(self, seq: int) -> PendingJob | None:
        """Take a job, held here or not, so that nobody else starts or changes it."""
        self._touch(seq)
        self._taken.add(seq)
        self._arrived.pop(seq, None)
        return self._held.pop(seq, None)

    def put_back(self, seq: int) -> None:
        """Give a taken job free; one that is still pending is offered next."""
        self._touch(seq)
        self._taken.discard(seq)

    def renewed(self) -> PrefetchWindow:
        """Return a backlog that reads everything again; what is taken stays taken."""
        fresh = PrefetchWindow(self.limit)
        fresh._taken = self._taken
        return fresh

    def begin_load(self) -> tuple[DispatchOrder, int]:
        """Return behind which key to read from disk, and how many."""
        self._touched, self._asked = set(), self.limit
        return self._horizon or _BEGINNING, self._asked

    def end_load(self, read: list[PendingJob]) -> None:
        """Add what was read, but for jobs that were touched meanwhile: of those memory knows better."""
        touched, self._touched = self._touched or set(), None
        arrived, self._arrived = self._arrived, {}
        self._horizon = read[-1].key if len(read) == self._asked else None
        fresh = [entry for entry in read if entry.job.seq not in touched]
        for entry in (*fresh, *arrived.values()):
            if entry.job.seq not in self._taken and self._is_within(entry.key):
                self._hold(entry)
        self._trim()

    def fail_load(self) -> None:
        """Forget a load that could not be done."""
        self._touched = None
        self._arrived = {}

    def _is_within(self, key: DispatchOrder) -> bool:
        return self._horizon is None or key <= self._horizon

    def _hold(self, entry: PendingJob) -> None:
        self._held[entry.job.seq] = entry
        heapq.heappush(self._heap, entry.key)

    def _trim(self) -> None:
        """Leave what is too much to the disk; not during a load, which starts from the old horizon."""
        if len(self._held) <= 2 * self.limit or self._touched is not None:
            return
        kept = heapq.nsmallest(self.limit, (entry.key for entry in self._held.values()))
        self._heap = kept
        self._held = {seq: self._held[seq] for _, seq in kept}
        self._horizon = kept[-1]

    def _drop_stale(self) -> None:
        while self._heap:
            entry = self._held.get(self._heap[0][1])
            if entry is not None and entry.key == self._heap[0]:
                return
            heapq.heappop(self._heap)

    def _touch(self, seq: int) -> None:
        if self._touched is not None:
            self._touched.add(seq)
