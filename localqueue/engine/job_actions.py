"""Look at jobs, and change them by hand: cancel, retry."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from localqueue.core import events, lifecycle
from localqueue.core.clock import Clock
from localqueue.core.errors import AmbiguousId, NotFound, WrongState
from localqueue.core.models import Attempt, Job, JobFilter, JobPreview, JobState, OutcomeKind, QueueKey
from localqueue.core.text import safe
from localqueue.engine import snapshots
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.snapshots import JobSnapshot
from localqueue.store.store import Store

RETRY_STEP = 500
"""How many jobs one transaction of `retry_failed` changes at the most."""
CANDIDATES = 10
_SHORT_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Hold a page of jobs, newest first, and the seq behind which the next one begins; None after the last."""

    jobs: list[JobSnapshot]
    next: int | None


class JobActions:
    """Find, list, cancel and retry jobs; `keys` returns the queues that have any."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        dispatcher: Dispatcher,
        hub: events.Hub,
        keys: Callable[[], Collection[QueueKey]],
    ) -> None:
        self._clock = clock
        self._store = store
        self._dispatcher = dispatcher
        self._hub = hub
        self._keys = keys

    # look

    async def find(self, id_: str) -> Job:
        """Return the job with this id or short id. Raises NotFound (unknown_job), AmbiguousId."""
        id_ = id_.lower()
        if _SHORT_ID.fullmatch(id_):
            return await self._find_short(id_)
        job = await self._store.job(id_)
        if job is None:
            raise _unknown(id_)
        return job

    async def _find_short(self, short_id: str) -> Job:
        found = await self._store.jobs_with_short_id(short_id, CANDIDATES)
        if not found:
            raise _unknown(short_id)
        if len(found) > 1:
            ids = ", ".join(job.id for job in found)
            raise AmbiguousId(f"the short id {short_id} fits several jobs: {ids}", "Give the whole id of one of them.")
        return found[0]

    def view(self, job: Job) -> JobSnapshot:
        """Return the job as people see it now."""
        lane, flight = self._dispatcher.lanes.get(job.key), self._dispatcher.flights.get(job.seq)
        return snapshots.snapshot_job(job, lane, flight, self._clock.now())

    def view_as(self, job: Job, state: JobState, started_ms: int | None = None) -> JobSnapshot:
        """Return a job in the state that it had when something was told of it."""
        return snapshots.snapshot_in_state(job, state, self._dispatcher.lanes.get(job.key), started_ms)

    async def attempts(self, job: Job) -> list[Attempt]:
        """Return the attempts of a job, in starting order."""
        return await self._store.attempts(job.seq)

    async def data(self, job: Job) -> bytes:
        """Return the bytes of `data` as they were sent. Raises NotFound (unknown_job)."""
        return await self._store.payload(job.seq)

    async def page(self, chosen: JobFilter) -> JobPage:
        """Return a page of jobs, newest first."""
        one_more = replace(chosen, limit=chosen.limit + 1)
        found = await self._store.jobs(one_more, self._keys(), self._clock.now(), list(self._dispatcher.flights))
        page = found[: chosen.limit]
        return JobPage([self.view(job) for job in page], page[-1].seq if len(found) > chosen.limit else None)

    async def glimpses(self, found: Iterable[JobSnapshot]) -> Mapping[int, JobPreview]:
        """Return by seq how the payloads of jobs begin, and how their latest attempts ended."""
        return await self._store.glimpses([view.job.seq for view in found])

    # change

    async def cancel(self, id_: str) -> Job:
        """Cancel a job by hand; an attempt under way is cut off. Raises NotFound, AmbiguousId, WrongState."""
        while True:
            job = await self.find(id_)
            if job.finished is not None:
                raise _wrong_state(job, "cancel", "queued, running or retrying")
            if job.seq in self._dispatcher.flights:
                await self._dispatcher.cut(job.seq, OutcomeKind.CANCELLED)
                job = await self.find(id_)
                if job.finished is JobState.CANCELLED:
                    return job
            elif changed := await self._change([(job, lifecycle.cancel(job, self._clock.now()))]):
                return changed[0]

    async def retry(self, id_: str) -> Job:
        """Start a new round of a failed or cancelled job, due now. Raises NotFound, AmbiguousId, WrongState."""
        while True:
            job = await self.find(id_)
            if job.finished not in (JobState.FAILED, JobState.CANCELLED):
                raise _wrong_state(job, "retry", "failed or cancelled")
            if changed := await self._change([(job, lifecycle.new_round(job, self._clock.now()))]):
                return changed[0]

    async def retry_failed(self, namespace: str | None = None, queue: str | None = None) -> int:
        """Start a new round of every failed job, of all queues or of those named; return of how many.

        All are due at the same instant, so that they are started in the order of their enqueueing.
        """
        chosen = JobFilter(namespace, queue)
        keys = [key for key in self._keys() if chosen.fits(key)]
        now, after, count = self._clock.now(), 0, 0
        while found := await self._store.failed(keys, after, RETRY_STEP):
            after = found[-1].seq
            count += len(await self._change([(job, lifecycle.new_round(job, now)) for job in found]))
        return count

    async def _change(self, changes: Iterable[tuple[Job, Job]]) -> list[Job]:
        """Change jobs that are free and still as they were; return them as they are now."""
        claimed = [change for change in changes if self._dispatcher.claim(change[0])]
        if not claimed:
            await self._dispatcher.changed()  # who has them is about to change them
            return []
        changed: dict[int, Job] = {}
        try:
            changed = {job.seq: job for job in await self._store.change(claimed)}
        finally:
            for job in changed.values():
                self._hub(events.Changed(job))
            for before, _ in claimed:
                self._dispatcher.unclaim(before, changed.get(before.seq))
        return list(changed.values())


def _unknown(id_: str) -> NotFound:
    return NotFound(f"there is no job {safe(id_)}", "It may have been pruned.", code="unknown_job")


def _wrong_state(job: Job, verb: str, expected: str) -> WrongState:
    state = job.finished or "waiting or running"
    return WrongState(f"expected the job to be {expected} to {verb} it, got {state}")
