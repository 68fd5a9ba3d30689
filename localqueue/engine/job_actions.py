"""Find jobs, list them, and change them by hand: cancel, retry, replay."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events, lifecycle, summaries
from localqueue.core.clock import Clock
from localqueue.core.errors import AmbiguousId, NotFound, WrongState
from localqueue.core.models import (
    Attempt,
    FailureGroup,
    Job,
    JobFilter,
    JobPreview,
    JobState,
    OutcomeKind,
    Queue,
    QueueKey,
)
from localqueue.core.text import safe
from localqueue.core.times import duration
from localqueue.engine import snapshots
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.enqueuer import Enqueuer
from localqueue.engine.snapshots import JobSnapshot
from localqueue.store.store import Store

CANDIDATES = 10
SEARCH_S = 0.7
"""How long a search for one page may take."""
DETAILS_LIMIT = 8 * 1024 * 1024
"""How many bytes of data and responses are read at once for several jobs."""
HINTS = {
    JobState.RETRYING: "To run its next attempt now: localqueue advance --to-next",
    JobState.COMPLETED: "To run it again: localqueue replay {id}",
    JobState.FAILED: "To run it again: localqueue retry {id}",
    JobState.CANCELLED: "To run it again: localqueue retry {id}",
}
"""What helps with a job that is in the wrong state for an action."""
_Cause = tuple[int | None, str]
_SHORT_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first, and the seq behind which the next page begins; None on the last page.

    `searched` is how many jobs a search has looked at for the page.
    """

    jobs: list[JobSnapshot]
    next: int | None
    searched: int | None = None


@dataclass(frozen=True, slots=True)
class JobDetails:
    """A job with its attempts, in starting order, the bytes of its `data`, and its queue if one is declared.

    `attempts` is None where they weren't wanted.
    """

    snapshot: JobSnapshot
    attempts: list[Attempt] | None
    data: bytes
    queue: Queue | None


@dataclass(frozen=True, slots=True)
class DetailedPage:
    """A page of jobs with their attempts and data, like JobPage."""

    jobs: list[JobDetails]
    next: int | None
    searched: int | None = None


class JobActions:
    """The actions that people take on jobs."""

    def __init__(
        self,
        active: ActiveCatalog,
        clock: Clock,
        store: Store,
        dispatcher: Dispatcher,
        hub: events.Hub,
        enqueuer: Enqueuer,
    ) -> None:
        self._active = active
        self._clock = clock
        self._store = store
        self._dispatcher = dispatcher
        self._hub = hub
        self._enqueuer = enqueuer

    # find

    async def find(self, id_: str) -> Job:
        """Return the job with this id or short id. Raises NotFound (unknown_job), AmbiguousId."""
        id_ = id_.lower()
        if _SHORT_ID.fullmatch(id_):
            return await self._find_short(id_)
        job = await self._store.queries.job(id_)
        if job is None:
            raise _unknown(id_)
        return job

    async def _find_short(self, short_id: str) -> Job:
        candidates = await self._store.queries.jobs_with_short_id(short_id, CANDIDATES)
        if not candidates:
            raise _unknown(short_id)
        if len(candidates) > 1:
            ids = ", ".join(job.id for job in candidates)
            raise AmbiguousId(f"several jobs have the short id {short_id}: {ids}", "Use the full ID of one of them.")
        return candidates[0]

    def snapshot(self, job: Job) -> JobSnapshot:
        """Return a job in its current state."""
        state, running = self._dispatcher.queues.get(job.key), self._dispatcher.running.get(job.seq)
        return snapshots.snapshot_job(job, state, running, self._clock.now())

    def snapshot_in_state(self, job: Job, job_state: JobState, started_ms: int | None = None) -> JobSnapshot:
        """Return a job in the state that an event reported."""
        return snapshots.snapshot_in_state(job, job_state, self._dispatcher.queues.get(job.key), started_ms)

    async def details(self, job: Job) -> JobDetails:
        """Return a job with its attempts and its data. Raises NotFound (unknown_job) if it was pruned meanwhile."""
        if not (details := await self._details([self.snapshot(job)])):
            raise _unknown(job.id)
        return details[0]

    async def _details(self, jobs: Sequence[JobSnapshot], *, has_attempts: bool = True) -> list[JobDetails]:
        """Return the details of the jobs that weren't pruned meanwhile."""
        seqs = [snapshot.job.seq for snapshot in jobs]
        attempts, data = await asyncio.gather(
            self._store.queries.attempts(seqs if has_attempts else ()), self._store.queries.payloads(seqs)
        )
        return [
            JobDetails(
                snapshot, attempts[seq] if has_attempts else None, data[seq], self._active.queues.get(snapshot.job.key)
            )
            for snapshot, seq in zip(jobs, seqs, strict=True)
            if seq in data
        ]

    async def data(self, job: Job) -> bytes:
        """Return the bytes of `data` as they were sent. Raises NotFound (unknown_job)."""
        return await self._store.payload(job.seq)

    async def page(self, wanted: JobFilter) -> JobPage:
        """Return a page of jobs, newest first; a search may end early, with a page that isn't full."""
        if wanted.is_search:
            return await self._search(wanted)
        one_more = replace(wanted, limit=wanted.limit + 1)
        now, running = self._clock.now(), list(self._dispatcher.running)
        jobs = await self._store.queries.jobs(one_more, self._enqueuer.numbers, now, running)
        page = jobs[: wanted.limit]
        return JobPage([self.snapshot(job) for job in page], page[-1].seq if len(jobs) > wanted.limit else None)

    async def _search(self, wanted: JobFilter) -> JobPage:
        now, running = self._clock.now(), list(self._dispatcher.running)
        result = await self._store.queries.search(wanted, now, running, SEARCH_S)
        return JobPage([self.snapshot(job) for job in result.jobs], result.next, result.searched)

    async def detailed_page(self, wanted: JobFilter, *, has_attempts: bool = True) -> DetailedPage:
        """Return a page of jobs with data, and attempts if wanted; it ends early where these exceed DETAILS_LIMIT."""
        page = await self.page(wanted)
        sizes = await self._store.queries.detail_sizes([snapshot.job.seq for snapshot in page.jobs])
        fitting = _fitting(page.jobs, sizes)
        is_whole = len(fitting) == len(page.jobs)
        details = await self._details(fitting, has_attempts=has_attempts)
        return DetailedPage(details, page.next if is_whole else fitting[-1].job.seq, page.searched)

    async def unfinished(self, limit: int) -> list[JobSnapshot]:
        """Return the newest jobs that aren't finished: running ones first, then queued, then retrying."""
        jobs: list[JobSnapshot] = []
        for state in (JobState.RUNNING, JobState.QUEUED, JobState.RETRYING):
            if len(jobs) < limit:
                jobs += (await self.page(JobFilter(state=state, limit=limit - len(jobs)))).jobs
        return jobs

    async def count_after_failure(self) -> Mapping[QueueKey, int]:
        """Return how many unfinished jobs of each queue have a failed attempt in their round."""
        return await self._store.queries.after_failure()

    async def previews(self, listed: Iterable[JobSnapshot]) -> Mapping[int, JobPreview]:
        """Return by seq how the payloads of jobs begin, and how their latest attempts ended."""
        return await self._store.queries.previews([snapshot.job.seq for snapshot in listed])

    # change

    async def cancel(self, id_: str) -> Job:
        """Cancel a job; a running attempt is cut off. Raises NotFound, AmbiguousId, WrongState."""
        while True:
            job = await self.find(id_)
            if job.finished is not None:
                raise self.wrong_state(job, "cancelled", "queued, running or retrying")
            if job.seq in self._dispatcher.running:
                await self._dispatcher.cut_off(job.seq, OutcomeKind.CANCELLED)
                job = await self.find(id_)
                if job.finished is JobState.CANCELLED:
                    return job
            elif changed := await self.change([(job, lifecycle.cancel(job, self._clock.now()))]):
                return changed[0]

    async def hold(self, id_: str, is_held: bool) -> Job:
        """Let a running attempt take longer than timeoutMs, or no longer. Source: our decision, for debuggers.

        Raises NotFound, AmbiguousId, WrongState.
        """
        job = await self.find(id_)
        attempt = self._dispatcher.running.get(job.seq)
        if attempt is None or attempt.deadline is None:
            raise self.wrong_state(job, "held" if is_held else "released", "running")
        attempt.deadline.hold(is_held)
        self._hub(events.HoldChanged(attempt.job, is_held, attempt.queue.timeout_ms))
        return job

    async def retry(self, id_: str) -> Job:
        """Start a new round of a failed or cancelled job, due now. Raises NotFound, AmbiguousId, WrongState."""
        while True:
            job = await self.find(id_)
            if job.finished not in (JobState.FAILED, JobState.CANCELLED):
                raise self.wrong_state(job, "retried", "failed or cancelled")
            if changed := await self.change([(job, lifecycle.new_round(job, self._clock.now()))]):
                return changed[0]

    async def failures(self, namespace: str | None = None, queue: str | None = None) -> list[FailureGroup]:
        """Return the failed jobs by cause, most first; numbers and IDs in a summary make no difference.

        Raises NotFound (unknown_namespace, unknown_queue).
        """
        self._active.check_known(namespace, queue, self._enqueuer.numbers)
        merged: dict[tuple[QueueKey, _Cause], FailureGroup] = {}
        texts_by_cause: dict[_Cause, dict[str, None]] = {}
        for group in await self._store.queries.failures(JobFilter(namespace, queue)):
            cause = (group.status, summaries.group_key(group.summary))
            texts_by_cause.setdefault(cause, {})[group.summary] = None
            name = (group.key, cause)
            merged[name] = _merged(merged[name], group) if name in merged else group
        patterns = {cause: summaries.pattern(list(texts)) for cause, texts in texts_by_cause.items()}
        groups = [replace(group, pattern=patterns[cause]) for (_, cause), group in merged.items()]
        return sorted(groups, key=lambda group: (-group.count, -group.last_ms))

    async def delete(self, id_: str) -> Job:
        """Delete a finished job with its attempts. Raises NotFound, AmbiguousId, WrongState, StorageUnavailable."""
        job = await self.find(id_)
        if job.finished is None or not await self._store.delete([job.id]):
            raise self.wrong_state(job, "deleted", "completed, failed or cancelled")
        self._hub(events.JobsDeleted(1))
        return job

    async def replay(self, id_: str, data: bytes | None = None) -> Job:
        """Enqueue a new job with the same data as another one, or with this data; it names its original.

        Raises NotFound (unknown_job, unknown_namespace, unknown_queue), AmbiguousId, ShuttingDown, StorageUnavailable.
        """
        original = await self.find(id_)
        if data is None:
            data = await self.data(original)
        return await self._enqueuer.enqueue(original.namespace, original.queue, data, replay_of=original.id)

    async def change(self, changes: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Change the jobs that can be claimed and haven't changed meanwhile; return them as they are now."""
        claimed = [change for change in changes if self._dispatcher.claim(change[0])]
        if not changes:
            return []
        if not claimed:
            await self._dispatcher.next_change()  # whoever claimed them is about to change them
            return []
        changed: dict[int, Job] = {}
        try:
            changed = {job.seq: job for job in await self._store.change(claimed)}
        finally:
            for job in changed.values():
                self._hub(events.Changed(job))
            for before, _ in claimed:
                self._dispatcher.release(before, changed.get(before.seq))
        return list(changed.values())

    def wrong_state(self, job: Job, done: str, possible: str) -> WrongState:
        """Return the error for a job that can't be `done`, with the command that helps in its state."""
        state = self.snapshot(job).state
        wait = f" (next attempt in {duration(job.due_ms - self._clock.now())})" if state is JobState.RETRYING else ""
        message = f"job {job.short_id} is {state}{wait}; only {possible} jobs can be {done}"
        return WrongState(message, HINTS[state].format(id=job.short_id) if state in HINTS else "")


def _merged(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    """Return both groups as one; the summary is the one of the newest job."""
    newest = max(one, other, key=lambda group: group.last_ms)
    return FailureGroup(
        one.key,
        one.status,
        newest.summary,
        newest.pattern,
        one.count + other.count,
        min(one.first_ms, other.first_ms),
        newest.last_ms,
        tuple(dict.fromkeys((*newest.ids, *one.ids, *other.ids)))[:3],
    )


def _fitting(jobs: Sequence[JobSnapshot], sizes: Mapping[int, int]) -> Sequence[JobSnapshot]:
    """Return the first jobs, as many as DETAILS_LIMIT allows, but at least one."""
    total = 0
    for number, snapshot in enumerate(jobs):
        total += sizes.get(snapshot.job.seq, 0)
        if number > 0 and total > DETAILS_LIMIT:
            return jobs[:number]
    return jobs


def _unknown(id_: str) -> NotFound:
    return NotFound(
        f"there is no job {safe(id_)}", "It may have been pruned. To list jobs: localqueue jobs", code="unknown_job"
    )
