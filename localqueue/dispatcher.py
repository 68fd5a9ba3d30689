"""Decide what starts when: slots, due times, attempts under way, and the stop with grace."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from localqueue import backlog, crashpoint, envelope, events, lifecycle
from localqueue.clock import Clock
from localqueue.errors import StorageUnavailable
from localqueue.models import Attempt, Job, Outcome, OutcomeKind, Queue, Request
from localqueue.store import Store

RETRY_STORE_S = 1.0
"""How long to wait before another try to write what could not be written."""


class Deliverer(Protocol):
    """Make one attempt."""

    async def deliver(self, request: Request) -> Outcome:
        """Return how it ended; never raise but for being cancelled."""


@dataclass(slots=True, eq=False)
class Flight:
    """Hold an attempt under way, with the settings under which it was started."""

    job: Job
    before: Job
    queue: Queue
    url: str
    started_ms: int
    cut: OutcomeKind | None = None
    is_on_wire: bool = False
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """Hold what is known of one queue; `queue` is None while no catalog declares it."""

    key: tuple[str, str]
    queue: Queue | None
    backlog: backlog.Backlog
    slots_taken: int = 0

    @property
    def free(self) -> int:
        """Return how many attempts may be started now."""
        return 0 if self.queue is None else self.queue.concurrency - self.slots_taken


class Dispatcher:
    """Start what is due and has a slot; store how it ended."""

    def __init__(self, clock: Clock, store: Store, deliverer: Deliverer, report: events.Report) -> None:
        self._clock = clock
        self._store = store
        self._deliverer = deliverer
        self._report = report
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._targets: Mapping[str, str] = {}
        self._flights: dict[int, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stalled = 0
        self._stopping = False
        self._hurried = asyncio.Event()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # what it is told

    def configure(self, queues: Mapping[tuple[str, str], Queue], targets: Mapping[str, str]) -> None:
        """Follow a catalog: new attempts use its settings, queues that it lacks are held."""
        self._targets = targets
        for lane in self._lanes.values():
            lane.queue = queues.get(lane.key)
        for key, queue in queues.items():
            if key not in self._lanes:
                self._lanes[key] = Lane(key, queue, backlog.Backlog())
        self._wake.set()

    def offer(self, job: Job, data: bytes | None = None) -> None:
        """Take note of a job that is pending on disk."""
        lane = self._lanes.get(job.key)
        if lane is not None:
            lane.backlog.offer(job, data)
            self._wake.set()

    def wake(self) -> None:
        """Look at the time again (the clock may have jumped)."""
        self._wake.set()

    # what it can be asked

    @property
    def flights(self) -> Mapping[int, Flight]:
        """Return the attempts under way, by seq of their job."""
        return self._flights

    def claim(self, job: Job) -> bool:
        """Keep a waiting job from being started while it is changed; return False if it is under way."""
        if job.seq in self._flights:
            return False
        lane = self._lanes.get(job.key)
        if lane is not None:
            lane.backlog.take(job.seq)
        return True

    def unclaim(self, job: Job) -> None:
        """End a claim; the job, as it is now, is started when it is due."""
        lane = self._lanes.get(job.key)
        if lane is not None:
            lane.backlog.put_back(job.seq)
        if job.finished is None:
            self.offer(job)

    async def cut(self, seq: int, kind: OutcomeKind) -> None:
        """Cut an attempt off and return once that is on disk."""
        flight = self._flights[seq]
        task = _cut(flight, kind)
        await asyncio.wait([task])

    # the loop

    async def run(self) -> None:
        """Start what is due, wait for the next due time or for news, and so on."""
        while not self._stopping:
            self._wake.clear()
            self._load_backlogs()
            self.start_due()
            await self._clock.wait(self.next_due(), self._wake)

    def start_due(self) -> None:
        """Start everything that is due and has a slot, in order of due time and enqueue sequence."""
        if self._stalled or self._stopping:
            return
        now = self._clock.now()
        found = [(entry.key, entry, lane) for lane in self._lanes.values() for entry in _take_due(lane, now)]
        for _, entry, lane in sorted(found, key=lambda each: each[0]):
            self._start(lane, entry, now)

    def next_due(self) -> int | None:
        """Return when the next job that has a slot is due, or None."""
        if self._stalled:
            return None
        dues = (lane.backlog.next_due() for lane in self._lanes.values() if lane.free > 0)
        return min((due for due in dues if due is not None), default=None)

    async def stop(self, grace: float) -> None:
        """Start nothing more; give attempts `grace` seconds, then record the rest as interrupted."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            hurried = asyncio.create_task(self._hurried.wait())
            finished = asyncio.create_task(_wait_all(self._tasks))
            await asyncio.wait([hurried, finished], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            finished.cancel()
        for flight in list(self._flights.values()):
            _cut(flight, OutcomeKind.INTERRUPTED)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def hurry(self) -> None:
        """End the grace of a stop under way."""
        self._hurried.set()

    # one attempt

    def _start(self, lane: Lane, entry: backlog.Entry, now: int) -> None:
        queue, before = lane.queue, entry.job
        assert queue is not None  # a lane without a queue has no slot
        job = replace(before, attempt=before.next_number, max_attempts=queue.max_attempts)
        url = self._targets[queue.namespace] + queue.endpoint
        flight = Flight(job, before, queue, url, now)
        lane.slots_taken += 1
        self._flights[job.seq] = flight
        flight.task = self._spawn(self._attempt(lane, flight, entry.data))

    async def _attempt(self, lane: Lane, flight: Flight, data: bytes | None) -> None:
        began = self._clock.monotonic()
        try:
            outcome = await self._deliver(flight, data)
        except StorageUnavailable as error:
            self._abandon(lane, flight, error)
            return
        finally:
            lane.slots_taken -= 1
            self._wake.set()
        duration_ms = round((self._clock.monotonic() - began) * 1000)
        ended_ms = max(self._clock.now_rounded_up(), flight.started_ms)
        crashpoint.reach("after-answer")
        decision = lifecycle.decide(flight.job, flight.queue, outcome, ended_ms)
        attempt = _attempt_record(flight, outcome, decision, ended_ms, duration_ms)
        is_stored = await self._record(flight, decision.job, attempt)
        self._land(lane, decision.job, data)
        if is_stored:
            self._report(events.AttemptEnded(decision.job, attempt))

    async def _deliver(self, flight: Flight, data: bytes | None) -> Outcome:
        if flight.cut is not None:
            return Outcome(flight.cut)
        flight.is_on_wire = True
        try:
            if data is None:
                data = await self._store.payload(flight.job.seq)
            body = envelope.delivery_body(flight.job.id, flight.queue.name, flight.job.attempt, data)
            crashpoint.reach("before-send")
            return await self._deliverer.deliver(Request(flight.url, body, flight.queue.timeout_ms))
        except asyncio.CancelledError:
            if flight.cut is None or flight.task is None:
                raise
            flight.task.uncancel()
            return Outcome(flight.cut)
        finally:
            flight.is_on_wire = False

    async def _record(self, flight: Flight, after: Job, attempt: Attempt) -> bool:
        """Store the attempt, however long that takes; nothing is started while it can't be done."""
        try:
            await self._store.record(flight.before, after, attempt)
            return True
        except StorageUnavailable as error:
            self._report(events.Warned(f"{error.message}; deliveries wait until it can be written again"))
        self._stalled += 1
        try:
            return await self._record_when_possible(flight, after, attempt)
        finally:
            self._stalled -= 1
            self._wake.set()

    async def _record_when_possible(self, flight: Flight, after: Job, attempt: Attempt) -> bool:
        while not self._stopping:
            await self._clock.sleep(RETRY_STORE_S)
            try:
                await self._store.record(flight.before, after, attempt)
                return True
            except StorageUnavailable:
                continue
        return False

    def _land(self, lane: Lane, job: Job, data: bytes | None) -> None:
        del self._flights[job.seq]
        lane.backlog.put_back(job.seq)
        if job.finished is None:
            self.offer(job, data)

    def _abandon(self, lane: Lane, flight: Flight, error: StorageUnavailable) -> None:
        """Forget a start whose data could not be read: it was never an attempt."""
        self._report(events.Warned(error.message))
        later = replace(flight.before, due_ms=self._clock.now() + int(RETRY_STORE_S * 1000))
        self._land(lane, later, None)

    # tasks

    def _load_backlogs(self) -> None:
        for lane in self._lanes.values():
            if lane.queue is not None and lane.backlog.needs_load and not self._stopping:
                after, limit = lane.backlog.begin_load()
                self._spawn(self._load(lane, after, limit))

    async def _load(self, lane: Lane, after: backlog.Key, limit: int) -> None:
        try:
            read = await self._store.pending(lane.key, after, limit, backlog.SMALL)
            lane.backlog.end_load([backlog.Entry(job, data) for job, data in read])
        except StorageUnavailable as error:
            self._report(events.Warned(error.message))
            await self._clock.sleep(RETRY_STORE_S)
            lane.backlog.fail_load()
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None or self.broken.done():
            return
        self.broken.set_exception(task.exception() or RuntimeError())


async def _wait_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


def _take_due(lane: Lane, now: int) -> Iterable[backlog.Entry]:
    for _ in range(lane.free):
        entry = lane.backlog.take_due(now)
        if entry is None:
            return
        yield entry


def _cut(flight: Flight, kind: OutcomeKind) -> asyncio.Task[None]:
    assert flight.task is not None
    if flight.cut is None:
        flight.cut = kind
        if flight.is_on_wire:  # before, the flag is enough; after, the outcome is in and must be stored
            flight.task.cancel()
    return flight.task


def _attempt_record(
    flight: Flight, outcome: Outcome, decision: lifecycle.Decision, ended_ms: int, duration_ms: int
) -> Attempt:
    job = flight.job
    return Attempt(
        round=job.round,
        number=job.attempt,
        max_attempts=job.max_attempts,
        due_ms=flight.before.due_ms,
        started_ms=flight.started_ms,
        ended_ms=ended_ms,
        duration_ms=duration_ms,
        url=flight.url,
        outcome=outcome,
        next_due_ms=decision.next_due_ms,
        reason=decision.reason,
    )
