"""Be the queue: the one façade that the doors call; builds and closes everything below it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localqueue import backlog, events, lifecycle
from localqueue.clock import Clock
from localqueue.dispatcher import Deliverer, Dispatcher
from localqueue.errors import NotFound, ShuttingDown, WrongState
from localqueue.ids import uuid7
from localqueue.models import Attempt, Catalog, Job, JobState, OutcomeKind, Queue
from localqueue.store import Filter, Store
from localqueue.text import nearest, safe

EXPORT_HINT = "Is SERVICE_NAMESPACE set for your service? `localqueue up` prints the line to export."


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Hold a queue's settings (None while no catalog declares it) and its numbers by state."""

    key: tuple[str, str]
    queue: Queue | None
    counts: Mapping[JobState, int]


@dataclass(frozen=True, slots=True)
class JobView:
    """Hold a job as people see it now."""

    job: Job
    state: JobState
    held: str | None
    max_attempts: int


class Engine:
    """Accept jobs, deliver them, and tell how they are."""

    def __init__(self, catalog: Catalog, clock: Clock, store: Store, dispatcher: Dispatcher, next_seq: int) -> None:
        self._catalog = catalog
        self._queues = catalog.queues
        self._clock = clock
        self._store = store
        self._dispatcher = dispatcher
        self._next_seq = next_seq
        self._loop: asyncio.Task[None] | None = None
        self._is_stopping = False

    @classmethod
    async def open(
        cls,
        path: Path,
        catalog: Catalog,
        clock: Clock,
        deliverer: Deliverer,
        report: events.Report,
        *,
        durable: bool = True,
        keep: int = 10_000,
    ) -> Engine:
        """Open the database and recover what an earlier run left. Raises DatabaseUnusable."""
        store = await Store.open(path, durable=durable, keep=keep)
        try:
            engine = cls(catalog, clock, store, Dispatcher(clock, store, deliverer, report), await store.last_seq() + 1)
            await engine._clamp_due_times()
        except BaseException:
            await store.close()
            raise
        engine._dispatcher.configure(engine._queues, catalog.targets)
        return engine

    def start(self) -> None:
        """Begin to deliver."""
        self._loop = asyncio.create_task(self._dispatcher.run(), name="dispatcher")

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new jobs, give attempts under way `grace` seconds, record the rest, close the file."""
        self.refuse_jobs()
        await self._dispatcher.stop(grace)
        if self._loop is not None:
            await asyncio.wait([self._loop])
        await self._store.close()

    def hurry(self) -> None:
        """End the grace of a close under way: cut the rest off now."""
        self._dispatcher.hurry()

    def refuse_jobs(self) -> None:
        """Answer new jobs with ShuttingDown from now on."""
        self._is_stopping = True

    async def wait_broken(self) -> None:
        """Return never, or raise what broke the dispatcher: a silent dead one would be the worst case."""
        assert self._loop is not None
        await asyncio.wait([self._loop, self._dispatcher.broken], return_when=asyncio.FIRST_COMPLETED)
        for ended in (self._loop, self._dispatcher.broken):
            if ended.done() and (error := ended.exception()):
                raise error

    @property
    def running(self) -> int:
        """Return how many attempts are under way."""
        return len(self._dispatcher.flights)

    # catalog and clock

    @property
    def catalog(self) -> Catalog:
        """Return the catalog in force."""
        return self._catalog

    def use(self, catalog: Catalog) -> None:
        """Follow an edited catalog; attempts under way finish under the old settings."""
        self._catalog, self._queues = catalog, catalog.queues
        self._dispatcher.configure(self._queues, catalog.targets)

    def look_at_clock(self) -> None:
        """Notice that the system's clock has jumped."""
        self._dispatcher.wake()

    def now(self) -> int:
        """Return the time in ms."""
        return self._clock.now()

    @property
    def clock_mode(self) -> str:
        """Return `wall` or `virtual`."""
        return self._clock.mode

    # jobs

    async def enqueue(self, namespace: str, queue: str, data: bytes) -> Job:
        """Accept a job; it is on disk when this returns.

        Raises NotFound (unknown_namespace, unknown_queue), ShuttingDown, StorageUnavailable.
        """
        if self._is_stopping:
            raise ShuttingDown("localqueue is stopping", "Nothing was stored; send it again after the restart.")
        found = self._find_queue(namespace, queue)
        now = self._clock.now()
        job = Job(
            seq=self._next_seq,
            id=uuid7(now),
            namespace=namespace,
            queue=queue,
            created_ms=now,
            due_ms=now,
            max_attempts=found.max_attempts,
            data_size=len(data),
        )
        self._next_seq += 1
        small = data if len(data) <= backlog.SMALL else None
        await self._store.insert(job, data, then=lambda: self._dispatcher.offer(job, small))
        return job

    async def cancel(self, id_: str) -> Job:
        """Cancel a job by hand; an attempt under way is cut off. Raises NotFound, WrongState."""
        while True:
            job = await self._find_job(id_)
            if job.finished is not None:
                raise _wrong_state(job, "cancel", "queued, running or retrying")
            if job.seq in self._dispatcher.flights:
                await self._dispatcher.cut(job.seq, OutcomeKind.CANCELLED)
                job = await self._find_job(id_)
                if job.finished is JobState.CANCELLED:
                    return job
            elif changed := await self._change(job, lifecycle.cancel(job, self._clock.now())):
                return changed

    async def retry(self, id_: str) -> Job:
        """Start a new round of a failed or cancelled job, due now. Raises NotFound, WrongState."""
        while True:
            job = await self._find_job(id_)
            if job.finished not in (JobState.FAILED, JobState.CANCELLED):
                raise _wrong_state(job, "retry", "failed or cancelled")
            if changed := await self._change(job, lifecycle.new_round(job, self._clock.now())):
                return changed

    async def job(self, id_: str) -> tuple[JobView, list[Attempt]]:
        """Return a job and its attempts. Raises NotFound (unknown_job)."""
        job = await self._find_job(id_)
        return self.view(job), await self._store.attempts(job.seq)

    async def data(self, job: Job) -> bytes:
        """Return the bytes of `data` as they were sent."""
        return await self._store.payload(job.seq)

    async def jobs(self, chosen: Filter) -> list[JobView]:
        """Return a page of jobs, newest first."""
        found = await self._store.jobs(chosen, self._clock.now(), list(self._dispatcher.flights))
        return [self.view(job) for job in found]

    async def queues(self) -> list[QueueStatus]:
        """Return every queue that is declared or has jobs."""
        now = self._clock.now()
        counts, waiting = await self._store.counts(), await self._store.waiting(now)
        flights = [flight.before for flight in self._dispatcher.flights.values()]
        keys = sorted({*self._queues, *counts})
        return [QueueStatus(key, self._queues.get(key), _by_state(key, counts, waiting, flights, now)) for key in keys]

    @property
    def storage_error(self) -> str | None:
        """Return why the database could not be written the last time, or None."""
        return self._store.error

    async def check_storage(self) -> str:
        """Return `ok`, or what SQLite finds wrong in the file."""
        return await self._store.check()

    # parts

    def view(self, job: Job) -> JobView:
        """Return the job as people see it now."""
        flight = self._dispatcher.flights.get(job.seq)
        if flight is not None and job.finished is None:
            job = flight.job
        state = lifecycle.state_of(job, is_running=flight is not None, now_ms=self._clock.now())
        queue = self._queues.get(job.key)
        is_waiting = state in (JobState.QUEUED, JobState.RETRYING)
        held = "queue_missing" if is_waiting and queue is None else None
        maximum = queue.max_attempts if is_waiting and queue is not None else job.max_attempts
        return JobView(job, state, held, maximum)

    async def _find_job(self, id_: str) -> Job:
        job = await self._store.job(id_)
        if job is None:
            raise NotFound(f"there is no job {safe(id_)}", "It may have been pruned.", code="unknown_job")
        return job

    async def _change(self, before: Job, after: Job) -> Job | None:
        if not self._dispatcher.claim(before):
            return None
        kept = before
        try:
            if await self._store.change(before, after):
                kept = after
        finally:
            self._dispatcher.unclaim(kept)
        return after if kept is after else None

    def _find_queue(self, namespace: str, name: str) -> Queue:
        found = self._queues.get((namespace, name))
        if found is not None:
            return found
        namespaces = sorted({key[0] for key in self._queues} | set(self._catalog.targets))
        if namespace not in namespaces:
            raise _unknown("namespace", namespace, namespaces, EXPORT_HINT)
        names = [key[1] for key in self._queues if key[0] == namespace]
        hint = f"Declare it under spec.queues in the catalog of {namespace}."
        raise _unknown("queue", name, names, hint)

    async def _clamp_due_times(self) -> None:
        now = self._clock.now()
        for key, queue in self._queues.items():
            await self._store.clamp_due(key, now + queue.retry_delay_ms)


def _unknown(what: str, name: str, known: list[str], hint: str) -> NotFound:
    others = ", ".join(nearest(name, known)) or "none"
    return NotFound(f"unknown {what} {safe(name)!r}; known: {others}", hint, code=f"unknown_{what}")


def _wrong_state(job: Job, verb: str, expected: str) -> WrongState:
    state = job.finished or "waiting or running"
    return WrongState(f"expected the job to be {expected} to {verb} it, got {state}")


def _by_state(
    key: tuple[str, str],
    counts: dict[tuple[str, str], dict[str, int]],
    waiting: dict[tuple[str, str], int],
    flights: list[Job],
    now: int,
) -> dict[JobState, int]:
    stored = counts.get(key, {})
    running = [job for job in flights if job.key == key]
    retrying = waiting.get(key, 0) - sum(job.due_ms > now for job in running)
    return {
        JobState.QUEUED: max(stored.get("pending", 0) - len(running) - retrying, 0),
        JobState.RUNNING: len(running),
        JobState.RETRYING: max(retrying, 0),
        **{state: stored.get(state, 0) for state in JobState if state.is_finished},
    }
