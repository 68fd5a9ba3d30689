"""Decide what starts when: slots, due times, attempts under way, and the stop with grace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any

from localqueue.core import crashpoint, envelope, events, lifecycle
from localqueue.core.clock import Clock
from localqueue.core.errors import StorageUnavailable
from localqueue.core.models import Attempt, Job, Outcome, OutcomeKind, Queue, QueueKey, Request
from localqueue.core.records import changed
from localqueue.engine import prefetch
from localqueue.engine.executor import Deliverer, Send
from localqueue.engine.queue_state import QueueState, QueueStates
from localqueue.engine.running_attempts import AttemptBatch, RunningAttempt, attempt_record
from localqueue.store.store import Store

RETRY_STORE_S = 1.0
"""How long to wait before another try to write what could not be written."""


class Dispatcher:
    """Start what is due and has a slot; store how it ended."""

    def __init__(self, clock: Clock, store: Store, deliverer: Deliverer, report: events.Report) -> None:
        self._clock = clock
        self._store = store
        self._deliverer = deliverer
        self._report = report
        self._lanes = QueueStates()
        self._targets: Mapping[str, str] = {}
        self._flights: dict[int, RunningAttempt] = {}
        self._claims: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loads: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_running = False
        self._alarm: int | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._stalled = 0
        self._is_clearing = False
        self._stopping = False
        self._hurried = asyncio.Event()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # what it is told

    def configure(
        self, queues: Mapping[QueueKey, Queue], targets: Mapping[str, str], paused: Collection[QueueKey] = frozenset()
    ) -> None:
        """Follow a catalog: new attempts use its settings, queues that it lacks or that are paused are held."""
        self._targets = targets
        self._lanes.configure(queues, paused)
        self.wake()

    def offer(self, job: Job, data: bytes | None = None) -> None:
        """Take note of a job that is pending on disk."""
        lane = self._lanes.all.get(job.key)
        if lane is not None:
            lane.backlog.offer(job, data)
            self._note(lane)

    def _note(self, lane: QueueState) -> None:
        self._lanes.note(lane)
        self.wake()

    def owe(self, key: QueueKey, until: int) -> None:
        """Keep a slot of a queue until then, for an attempt of an earlier run that timed out."""
        self._lanes.all.setdefault(key, QueueState(key)).owed.append(until)

    def wake(self) -> None:
        """Look again at what can be started: there is news, or the clock has jumped."""
        self._wake.set()
        self._tell()

    def _tell(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # what it can be asked

    @property
    def flights(self) -> Mapping[int, RunningAttempt]:
        """Return the attempts under way, by seq of their job."""
        return self._flights

    @property
    def lanes(self) -> Mapping[QueueKey, QueueState]:
        """Return what is known of each queue."""
        return self._lanes.all

    @property
    def is_stopping(self) -> bool:
        """Return whether nothing is started any more."""
        return self._stopping

    def is_quiet(self, until: int | None) -> bool:
        """Return whether no job due up to `until` (None: ever) is under way, or waits in a queue that is not held."""
        if any(until is None or flight.before.due_ms <= until for flight in self._flights.values()):
            return False
        return all(lane.is_held or lane.backlog.is_clear(until) for lane in self._lanes.all.values())

    async def changed(self) -> None:
        """Return when there is news."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    @property
    def is_at_rest(self) -> bool:
        """Return whether no attempt is under way, no job is being changed, and the next jobs are known."""
        is_known = not any(lane.needs_load for lane in self._lanes.with_news)
        return is_known and not (self._tasks or self._claims or self._loads)

    async def landed(self) -> None:
        """Return when no attempt is under way and no job is being changed."""
        while self._tasks or self._claims:
            await (asyncio.wait(self._tasks) if self._tasks else self.changed())

    async def loaded(self) -> None:
        """Return when the next jobs of every queue are known."""
        while True:
            for lane in self._lanes.with_news:
                self._fill(lane)
            if not self._loads:
                return
            await asyncio.wait(self._loads)

    def claim(self, job: Job) -> bool:
        """Keep a waiting job from being started or claimed by another; return False if that can't be done now."""
        if self._is_clearing or job.seq in self._flights or job.seq in self._claims:
            return False
        lane = self._lanes.all.get(job.key)
        if lane is not None:
            lane.backlog.take(job.seq)
            self._lanes.note(lane)
        self._claims.add(job.seq)
        return True

    def unclaim(self, before: Job, after: Job | None) -> None:
        """End a claim; the job, as it is now, is started when it is due. None: look on disk how it is."""
        self._claims.discard(before.seq)
        lane = self._lanes.all.get(before.key)
        if lane is not None:
            lane.backlog.put_back(before.seq)
            if after is None:
                lane.backlog = lane.backlog.renewed()
            self._note(lane)
        if after is not None and after.finished is None:
            self.offer(after)
        self.wake()

    async def cut(self, seq: int, kind: OutcomeKind) -> None:
        """Cut an attempt off and return once that is on disk."""
        flight = self._flights[seq]
        await asyncio.wait([flight.cut_off(kind)])

    async def clear(self, wipe: Callable[[], Awaitable[None]]) -> None:
        """Cut off what is under way, let `wipe` empty the disk, and forget every job."""
        self._stalled += 1
        self._is_clearing = True
        try:
            for flight in list(self._flights.values()):
                flight.cut_off(OutcomeKind.INTERRUPTED)
            await self.landed()
            if self._loads:
                await asyncio.wait(self._loads)
            await wipe()
            for lane in self._lanes.all.values():
                lane.owed.clear()
        finally:
            for lane in self._lanes.all.values():
                lane.forget_jobs()
            self._lanes.note_all()
            self._is_clearing = False
            self._stalled -= 1
            self.wake()

    # the loop

    async def run(self) -> None:
        """Start what is due, wait for the next due time or for news, and so on."""
        self._is_running = True
        while not self._stopping:
            self._wake.clear()
            self.start_due()
            self._alarm = self.next_due()
            await self._clock.wait(self._alarm, self._wake)
            await self._store.uncrowded()  # who enqueues a lot at once is answered first

    def _go_on(self) -> None:
        """Start what a slot that has become free allows: at once, and not by way of the loop, if it runs."""
        if not self._is_running or self._store.is_crowded:
            self.wake()
            return
        self.start_due()
        self._tell()
        if self.next_due() != self._alarm:
            self._wake.set()

    def start_due(self, batch: AttemptBatch | None = None) -> bool:
        """Start everything that is due and has a slot, in order of due time and enqueue sequence.

        Return whether anything was. The outcomes of a batch are applied in starting order.
        """
        if self._stalled or self._stopping:
            return False
        now = self._clock.now()
        lanes = self._lanes.look(now)
        found = [(entry.key, entry, lane) for lane in lanes for entry in lane.take_due(now)]
        for _, entry, lane in sorted(found, key=lambda each: each[0]):
            self._start(lane, entry, now, batch)
        for lane in lanes:
            self._fill(lane)
            self._lanes.plan(lane, now)
        return bool(found)

    def next_due(self) -> int | None:
        """Return when the next job that has a slot is due, or None."""
        if self._stalled:
            return None
        return self._lanes.next_start(self._clock.now())

    def last_owed(self) -> int:
        """Return until when attempts that timed out keep their slots; the past where none does."""
        return max((until for lane in self._lanes.all.values() for until in lane.owed), default=0)

    async def stop(self, grace: float) -> None:
        """Start nothing more; give attempts `grace` seconds, then record the rest as interrupted."""
        self._stopping = True
        self.wake()
        if self._tasks:
            hurried = asyncio.create_task(self._hurried.wait())
            finished = asyncio.create_task(_wait_all(self._tasks))
            await asyncio.wait([hurried, finished], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            finished.cancel()
        for flight in list(self._flights.values()):
            flight.cut_off(OutcomeKind.INTERRUPTED)
        if self._tasks or self._loads:
            await asyncio.wait(self._tasks | self._loads)

    def hurry(self) -> None:
        """End the grace of a stop under way."""
        self._hurried.set()

    # one attempt

    def _start(self, lane: QueueState, entry: prefetch.PendingJob, now: int, batch: AttemptBatch | None) -> None:
        queue, before = lane.queue, entry.job
        assert queue is not None  # a lane without a queue has no slot
        job = changed(before, attempt=before.next_number, max_attempts=queue.max_attempts)
        url = self._targets[queue.namespace] + queue.endpoint
        flight = RunningAttempt(job, before, queue, url, now, self._clock.monotonic())
        if batch is not None:
            batch.add(flight)
        lane.slots_taken += 1
        self._flights[job.seq] = flight
        work = self._attempt(lane, flight, batch, self._deliverer.begin(queue), entry.data)
        flight.task = self._spawn(work, self._tasks)
        self._report(events.Started(job, now))

    async def _attempt(
        self, lane: QueueState, flight: RunningAttempt, batch: AttemptBatch | None, send: Send, data: bytes | None
    ) -> None:
        try:
            outcome = await self._deliver(flight, send, data)
        except StorageUnavailable as error:
            self._abandon(lane, flight, error)
            return
        finally:
            if batch is not None:
                batch.answered()
            lane.slots_taken -= 1
            self._lanes.note(lane)
        self._go_on()
        if flight.turn is not None:
            await flight.turn
        await self._end(lane, flight, outcome, data)

    async def _end(self, lane: QueueState, flight: RunningAttempt, outcome: Outcome, data: bytes | None) -> None:
        """Apply an outcome; no await may come before the record is on its way, or batches lose their order."""
        is_timeout = outcome.kind is OutcomeKind.TIMEOUT
        owed_ms = self._clock.owed(flight.queue.timeout_ms) if is_timeout else 0
        duration_ms = round((self._clock.monotonic() - flight.began) * 1000) + owed_ms
        ended_ms = max(self._clock.now_rounded_up(), flight.started_ms) + owed_ms
        if owed_ms:
            lane.owed.append(ended_ms)
            self._lanes.note(lane)
        crashpoint.reach("after-answer")
        decision = lifecycle.decide(flight.job, flight.queue, outcome, ended_ms)
        attempt = attempt_record(flight, outcome, decision, ended_ms, duration_ms)
        is_stored = await self._record(flight, decision.job, attempt)
        self._land(lane, decision.job, data)
        if is_stored:
            self._report(events.AttemptEnded(decision.job, attempt))

    async def _deliver(self, flight: RunningAttempt, send: Send, data: bytes | None) -> Outcome:
        if flight.cut is not None:
            return Outcome(flight.cut)
        flight.is_on_wire = True
        try:
            if data is None:
                data = await self._store.payload(flight.job.seq)
            body = envelope.delivery_body(flight.job.id, flight.queue.name, flight.job.attempt, data)
            crashpoint.reach("before-send")
            return await send(Request(flight.url, body, flight.queue.timeout_ms))
        except asyncio.CancelledError:
            if flight.cut is None or flight.task is None:
                raise
            flight.task.uncancel()
            return Outcome(flight.cut)
        finally:
            flight.is_on_wire = False

    async def _record(self, flight: RunningAttempt, after: Job, attempt: Attempt) -> bool:
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
            self.wake()

    async def _record_when_possible(self, flight: RunningAttempt, after: Job, attempt: Attempt) -> bool:
        while not self._stopping and not self._is_clearing:
            await self._clock.sleep(RETRY_STORE_S)
            try:
                await self._store.record(flight.before, after, attempt)
                return True
            except StorageUnavailable:
                continue
        return False

    def _land(self, lane: QueueState, job: Job, data: bytes | None) -> None:
        del self._flights[job.seq]
        lane.backlog.put_back(job.seq)
        if job.finished is None:
            self.offer(job, data)
        self._tell()

    def _abandon(self, lane: QueueState, flight: RunningAttempt, error: StorageUnavailable) -> None:
        """Forget a start whose data could not be read: it was never an attempt."""
        self._report(events.Warned(error.message))
        later = changed(flight.before, due_ms=self._clock.now() + int(RETRY_STORE_S * 1000))
        self._land(lane, later, None)

    # tasks

    def _fill(self, lane: QueueState) -> None:
        """Read the next jobs of a queue from disk when there may be more and few are left."""
        if lane.needs_load and not self._stopping and not self._is_clearing:
            self._spawn(self._load(lane, lane.backlog, *lane.backlog.begin_load()), self._loads)

    async def _load(
        self, lane: QueueState, into: prefetch.PrefetchWindow, after: prefetch.DispatchOrder, limit: int
    ) -> None:
        try:
            read = await self._store.pending(lane.key, after, limit, prefetch.SMALL_PAYLOAD)
            into.end_load([prefetch.PendingJob(job, data) for job, data in read])
        except StorageUnavailable as error:
            self._report(events.Warned(error.message))
            await self._clock.sleep(RETRY_STORE_S)
            into.fail_load()
        self._note(lane)

    def _spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        def done(task: asyncio.Task[None]) -> None:
            group.discard(task)
            self._done(task)

        task = asyncio.create_task(work)
        group.add(task)
        task.add_done_callback(done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None or self.broken.done():
            return
        self.broken.set_exception(task.exception() or RuntimeError())


async def _wait_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
