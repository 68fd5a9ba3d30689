"""Retry, cancel, delete or count every job that a filter selects.

The jobs are read in enqueue order, a step at a time, up to the newest one at the start of the call. So jobs that arrive
meanwhile are left alone, no job is handled twice, and each step is one short transaction.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events, lifecycle, summaries
from localqueue.core.clock import Clock
from localqueue.core.errors import NotFound, WrongState
from localqueue.core.models import Job, JobFilter, JobState
from localqueue.engine import snapshots
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.enqueuer import Enqueuer
from localqueue.engine.job_actions import JobActions
from localqueue.engine.snapshots import QueueSnapshot
from localqueue.store.store import Store

STEP = 500
"""How many jobs are looked at, and changed by one transaction, at most."""


class BulkActions:
    """The actions that people take on many jobs at once.

    Each raises NotFound (unknown_namespace, unknown_queue) and StorageUnavailable.
    """

    def __init__(
        self,
        active: ActiveCatalog,
        clock: Clock,
        store: Store,
        dispatcher: Dispatcher,
        hub: events.Hub,
        enqueuer: Enqueuer,
        jobs: JobActions,
    ) -> None:
        self._active = active
        self._clock = clock
        self._store = store
        self._dispatcher = dispatcher
        self._hub = hub
        self._enqueuer = enqueuer
        self._jobs = jobs
        self._resets = 0
        hub.add_for((events.WasReset,), self._count_reset)

    def _count_reset(self, _: events.Event) -> None:
        self._resets += 1

    async def retry(self, wanted: JobFilter, summary: str | None = None) -> int:
        """Start a new round of every failed job, or cancelled one if that is the wanted state; return how many.

        With a summary, only of those whose latest attempt ended like this; its numbers may differ. All are due at the
        same instant, so they start in the order in which they were enqueued.
        """
        wanted = replace(wanted, state=wanted.state or JobState.FAILED, is_finished=True)
        now, count = self._clock.now(), 0
        async for jobs in self._steps(wanted):
            if summary is not None:
                jobs = await self._with_summary(jobs, summary)
            count += len(await self._jobs.change([(job, lifecycle.new_round(job, now)) for job in jobs]))
        return count

    async def _with_summary(self, jobs: Sequence[Job], summary: str) -> list[Job]:
        previews = await self._store.queries.previews([job.seq for job in jobs])
        group = summaries.group_key(summary)
        return [job for job in jobs if job.seq in previews and summaries.group_key(previews[job.seq].summary) == group]

    async def cancel(self, wanted: JobFilter) -> int:
        """Cancel every unfinished job; return how many.

        Waiting jobs come first: else each cut attempt would start one of them.
        """
        running: list[Job] = []
        count = 0
        async for jobs in self._steps(replace(wanted, is_finished=False)):
            now, attempts = self._clock.now(), self._dispatcher.running
            waiting = [(job, lifecycle.cancel(job, now)) for job in jobs if job.seq not in attempts]
            cancelled = {job.seq for job in await self._jobs.change(waiting)}
            count += len(cancelled)
            running += [job for job in jobs if job.seq not in cancelled]
        return count + sum(await asyncio.gather(*(self._cancelled(job) for job in running)))

    async def _cancelled(self, job: Job) -> bool:
        try:
            await self._jobs.cancel(job.id)
        except (NotFound, WrongState):  # it has ended meanwhile
            return False
        return True

    async def delete(self, wanted: JobFilter) -> int:
        """Delete every finished job with its attempts; return how many."""
        count = 0
        async for jobs in self._steps(replace(wanted, is_finished=True)):
            count += await self._store.delete([job.id for job in jobs], wanted.state)
        self._hub(events.JobsDeleted(count))
        return count

    async def count(self, wanted: JobFilter) -> dict[JobState, int]:
        """Count the jobs by state; where only queue and state matter, without looking at them."""
        counts = Counter[JobState]()
        if wanted.is_by_state:
            self._active.check_known(wanted.namespace, wanted.queue, self._enqueuer.numbers)
            for queue in await self._queues():
                if wanted.fits(queue.key):
                    counts.update(queue.counts)
        else:
            async for jobs in self._steps(wanted):
                counts.update(self._jobs.snapshot(job).state for job in jobs)
        return {state: counts[state] if wanted.state in (None, state) else 0 for state in JobState}

    async def _queues(self) -> list[QueueSnapshot]:
        stored = await self._store.queries.counts(self._clock.now())
        return snapshots.snapshot_queues(
            self._active.queues, stored, self._dispatcher, self._enqueuer.numbers, self._clock.now()
        )

    async def _steps(self, wanted: JobFilter) -> AsyncIterator[list[Job]]:
        """Yield the jobs in enqueue order; a reset ends it, because later jobs have the numbers of earlier ones."""
        self._active.check_known(wanted.namespace, wanted.queue, self._enqueuer.numbers)
        after: int | None = 0
        last, resets = self._enqueuer.next_seq - 1, self._resets
        while after is not None and resets == self._resets:
            now, running = self._clock.now(), list(self._dispatcher.running)
            jobs, after = await self._store.queries.oldest(wanted, after, last, STEP, now, running)
            if jobs and resets == self._resets:
                yield jobs
