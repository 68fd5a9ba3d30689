"""Deliver a finished job again, with the same jobId and attempt; the job doesn't change."""

from __future__ import annotations

from dataclasses import dataclass

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import envelope
from localqueue.core.models import JobFilter, Outcome, Request
from localqueue.engine import double_delivery
from localqueue.engine.enqueuer import Enqueuer
from localqueue.engine.executor import Deliverer
from localqueue.engine.job_actions import JobActions
from localqueue.engine.snapshots import JobSnapshot
from localqueue.store.store import Store

LISTED = 100
"""How many of the jobs that were enqueued meanwhile are listed."""


@dataclass(frozen=True, slots=True)
class SecondDelivery:
    """The outcomes of both deliveries, and the jobs that were enqueued during the second one, oldest first."""

    job: JobSnapshot
    number: int
    first: Outcome
    second: Outcome
    enqueued: list[JobSnapshot]
    enqueued_count: int

    @property
    def differences(self) -> list[str]:
        """Return how the second outcome differs from the first, as sentences."""
        return double_delivery.differences(self.first, self.second)


class SecondDeliveries:
    """The deliveries of finished jobs that people ask for; the jobs don't change."""

    def __init__(
        self, active: ActiveCatalog, store: Store, deliverer: Deliverer, jobs: JobActions, enqueuer: Enqueuer
    ) -> None:
        self._active = active
        self._store = store
        self._deliverer = deliverer
        self._jobs = jobs
        self._enqueuer = enqueuer

    async def deliver(self, id_: str) -> SecondDelivery:
        """Send the latest attempt of a finished job again, at once.

        Raises NotFound (unknown_job, unknown_namespace, unknown_queue), AmbiguousId, WrongState, OutOfResources,
        StorageUnavailable.
        """
        job = await self._jobs.find(id_)
        attempts = (await self._store.queries.attempts([job.seq])).get(job.seq, [])
        if job.finished is None or not attempts:
            raise self._jobs.wrong_state(job, "delivered again", "completed or failed")
        queue = self._active.find(job.namespace, job.queue)
        last = attempts[-1]
        body = envelope.delivery_body(job.id, queue.name, last.number, await self._jobs.data(job))
        url = self._active.targets[queue.namespace] + queue.endpoint
        before = self._enqueuer.next_seq
        second = await self._deliverer.begin(queue)(Request(url, body, queue.timeout_ms))
        count = self._enqueuer.next_seq - before
        return SecondDelivery(
            self._jobs.snapshot(job), last.number, last.outcome, second, await self._enqueued(before, count), count
        )

    async def _enqueued(self, first_seq: int, count: int) -> list[JobSnapshot]:
        """Return the first jobs with this seq or a later one."""
        if not count:
            return []
        listed = min(count, LISTED)
        page = await self._jobs.page(JobFilter(limit=listed, after=first_seq + listed))
        return page.jobs[::-1]
