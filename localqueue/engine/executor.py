"""Run one attempt, from its start to its record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from localqueue.core import crashpoint, envelope, events, explanations, lifecycle
from localqueue.core.clock import Clock, Deadline
from localqueue.core.errors import LocalqueueError, NotFound, OutOfResources, StorageUnavailable
from localqueue.core.models import Attempt, AttemptError, Job, Outcome, OutcomeKind, Queue, Request
from localqueue.core.real_time import monotonic
from localqueue.core.records import copy_with
from localqueue.engine.prefetch import PendingJob
from localqueue.engine.queue_state import QueueState
from localqueue.engine.running_attempts import AttemptBatch, RunningAttempt, attempt_record
from localqueue.engine.task_set import TaskSet
from localqueue.store.store import Store

WARNING_S = 10.0
"""How long the same warning isn't repeated, in seconds."""
RETRY_STORE_S = 1.0
"""How long to wait before the next try to write or read what could not be written or read."""
_NO_PAYLOAD = AttemptError("payload_missing", "the payload of this job is missing in the database file")

Send = Callable[[Request], Awaitable[Outcome]]
"""Sends one request and returns its outcome; raises nothing but CancelledError and OutOfResources."""


class Deliverer(Protocol):
    """The maker of attempts: HTTP, or stubs in tests."""

    def begin(self, queue: Queue) -> Send:
        """Return what sends the attempt that starts now; called in starting order."""


class Scheduler(Protocol):
    """The part of the dispatcher that an attempt reports to."""

    @property
    def is_ending(self) -> bool:
        """Return whether a stop or a reset waits for the running attempts."""

    def mark_changed(self, state: QueueState) -> None:
        """Note that the slots of a queue have changed."""

    def start_next(self) -> None:
        """Start what a free slot allows."""

    def take_back(self, state: QueueState, job: Job, data: bytes | None) -> None:
        """Release a job whose attempt is over."""

    def wake(self) -> None:
        """Look again at what can start."""


class Executor:
    """The running attempts; without `has_timeouts`, none of them is cut off, however long it takes."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        deliverer: Deliverer,
        report: events.Report,
        scheduler: Scheduler,
        failure: asyncio.Future[None],
        has_timeouts: bool,
    ) -> None:
        self._clock = clock
        self._store = store
        self._deliverer = deliverer
        self._report = report
        self._scheduler = scheduler
        self._has_timeouts = has_timeouts
        self._unrecorded = 0
        self._warned: tuple[str, float] = ("", 0.0)
        self.running: dict[int, RunningAttempt] = {}
        """The running attempts by the seq of their job."""
        self.tasks = TaskSet(failure)

    @property
    def is_blocked(self) -> bool:
        """Return whether an outcome can't be stored, so that nothing may start."""
        return self._unrecorded > 0

    def start(self, state: QueueState, pending: PendingJob, target: str, now: int, batch: AttemptBatch | None) -> None:
        """Start the next attempt of a job that is due and has a slot; `target` is the base URL of its service."""
        queue, before = state.queue, pending.job
        assert queue is not None  # a queue that no catalog declares has no slots
        job = copy_with(before, attempt=before.next_number, max_attempts=queue.max_attempts)
        attempt = RunningAttempt(job, before, queue, target + queue.endpoint, now, self._clock.monotonic())
        if batch is not None:
            batch.add(attempt)
        state.slots_taken += 1
        self.running[job.seq] = attempt
        work = self._run(state, attempt, batch, self._deliverer.begin(queue), pending.data)
        attempt.task = self.tasks.spawn(work)
        self._report(events.Started(job, now))

    async def _run(
        self, state: QueueState, attempt: RunningAttempt, batch: AttemptBatch | None, send: Send, data: bytes | None
    ) -> None:
        try:
            outcome = await self._deliver(attempt, send, data)
        except (StorageUnavailable, OutOfResources) as error:
            self._abandon(state, attempt, error)
            return
        finally:
            if batch is not None:
                batch.mark_answered()
            state.slots_taken -= 1
            self._scheduler.mark_changed(state)
        self._scheduler.start_next()
        if attempt.turn is not None:
            await attempt.turn
        await self._finish(state, attempt, outcome, data)

    async def _deliver(self, attempt: RunningAttempt, send: Send, data: bytes | None) -> Outcome:
        if attempt.cut is not None:
            return Outcome(attempt.cut)
        attempt.is_sending = True
        try:
            if data is None:
                data = await self._store.payload(attempt.job.seq)
            body = envelope.delivery_body(attempt.job.id, attempt.queue.name, attempt.job.attempt, data)
            crashpoint.reach("before-send")
            timeout_ms = attempt.queue.timeout_ms
            attempt.deadline = Deadline(timeout_ms / 1000, is_held=not self._has_timeouts)
            return await send(Request(attempt.url, body, timeout_ms, deadline=attempt.deadline))
        except NotFound:
            self._warn("the database is damaged: a job has no payload. Keep a copy, and start with another --db PATH")
            return Outcome(OutcomeKind.CONNECTION_ERROR, None, _NO_PAYLOAD)
        except asyncio.CancelledError:
            if attempt.cut is None or attempt.task is None:
                raise
            attempt.task.uncancel()
            return Outcome(attempt.cut)
        finally:
            attempt.is_sending = False

    async def _finish(self, state: QueueState, attempt: RunningAttempt, outcome: Outcome, data: bytes | None) -> None:
        """Apply an outcome. No await may come before the record is submitted, or batches lose their order."""
        is_timeout = outcome.kind is OutcomeKind.TIMEOUT
        uncounted_ms = self._clock.uncounted(attempt.queue.timeout_ms if is_timeout else outcome.simulated_ms)
        duration_ms = round((self._clock.monotonic() - attempt.monotonic_start) * 1000) + uncounted_ms
        ended_ms = max(self._clock.now_rounded_up(), attempt.started_ms) + uncounted_ms
        if uncounted_ms:
            state.occupied_until.append(ended_ms)
            self._scheduler.mark_changed(state)
        crashpoint.reach("after-send")
        decision = lifecycle.decide(attempt.job, attempt.queue, outcome, ended_ms)
        record = attempt_record(attempt, outcome, decision, ended_ms, duration_ms)
        is_stored = await self._record(attempt, decision.job, record, can_wait=self._is_busy(state, attempt.queue))
        self._release(state, decision.job, data)
        if is_stored:
            explanation = explanations.explain(decision.job, attempt.queue, record)
            self._report(events.AttemptEnded(decision.job, record, explanation))

    def _is_busy(self, state: QueueState, queue: Queue) -> bool:
        """Return whether more attempts or jobs will soon be written: the slot is taken again, or there is a burst."""
        return state.slots_taken >= queue.concurrency or self._store.has_burst

    async def _record(self, attempt: RunningAttempt, after: Job, record: Attempt, *, can_wait: bool) -> bool:
        """Store the attempt, however long that takes; nothing starts while it can't be stored."""
        try:
            await self._store.record(attempt.before, after, record, can_wait=can_wait)
            return True
        except StorageUnavailable as error:
            self._report(events.Warned(f"{error.message}; deliveries wait until the database can be written again"))
        self._unrecorded += 1
        try:
            return await self._record_when_possible(attempt, after, record)
        finally:
            self._unrecorded -= 1
            self._scheduler.wake()

    async def _record_when_possible(self, attempt: RunningAttempt, after: Job, record: Attempt) -> bool:
        while not self._scheduler.is_ending:
            await self._clock.sleep(RETRY_STORE_S)
            try:
                await self._store.record(attempt.before, after, record)
                return True
            except StorageUnavailable:
                continue
        return False

    def _release(self, state: QueueState, job: Job, data: bytes | None) -> None:
        del self.running[job.seq]
        self._scheduler.take_back(state, job, data)

    def _warn(self, message: str) -> None:
        previous, warned_at = self._warned
        now = monotonic()
        if message != previous or now - warned_at >= WARNING_S:
            self._warned = message, now
            self._report(events.Warned(message))

    def _abandon(self, state: QueueState, attempt: RunningAttempt, error: LocalqueueError) -> None:
        """Undo the start of an attempt that this process could not make: it was never an attempt."""
        self._warn(error.message)
        later = copy_with(attempt.before, due_ms=self._clock.now() + int(RETRY_STORE_S * 1000))
        self._release(state, later, None)
