"""Bugs in the retry rule, delivery, slots, order, time, pauses, resets and the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

from localqueue.core import clock, envelope, lifecycle, real_time
from localqueue.core.models import OutcomeKind, Queue
from localqueue.delivery import delivery
from localqueue.delivery.errors import ExchangeError
from localqueue.engine import (
    dispatcher,
    executor,
    prefetch,
    queue_state,
    recovery,
    running_attempts,
    timeline,
)
from localqueue.engine.engine import Engine
from localqueue.store.row_mapping import ATTEMPT_COLUMNS
from localqueue.store.store import Store
from tests.sim.plants.planted import Plant, Planted


def _decide(change: Callable[..., lifecycle.Decision]) -> Plant:
    return lambda: mock.patch.object(lifecycle, "decide", change)


_real_decide = lifecycle.decide


def _from_start(job: Any, queue: Queue, outcome: Any, ended_ms: int) -> lifecycle.Decision:
    owed_ms = queue.timeout_ms if outcome.kind is OutcomeKind.TIMEOUT else 0
    return _real_decide(job, queue, outcome, ended_ms - owed_ms)


def _one_more(job: Any, queue: Queue, outcome: Any, ended_ms: int) -> lifecycle.Decision:
    return _real_decide(job, replace(queue, retries=queue.retries + 1), outcome, ended_ms)


def _one_fewer(job: Any, queue: Queue, outcome: Any, ended_ms: int) -> lifecycle.Decision:
    return _real_decide(job, replace(queue, retries=max(queue.retries - 1, 0)), outcome, ended_ms)


def _interruption_counts(job: Any, queue: Queue, outcome: Any, ended_ms: int) -> lifecycle.Decision:
    found = _real_decide(job, queue, outcome, ended_ms)
    if outcome.kind is not OutcomeKind.INTERRUPTED:
        return found
    return replace(found, job=replace(found.job, failures=job.attempt))


def _redirects_complete() -> Any:
    real = delivery._outcome_of

    def judged(status: int, kept: Any) -> Any:
        found = real(status, kept)
        return replace(found, kind=OutcomeKind.COMPLETED, error=None) if found.status in (301, 304) else found

    return mock.patch.object(delivery, "_outcome_of", judged)


def _cut_completes() -> Any:
    real = delivery._read

    async def read(*args: Any) -> tuple[bytes, bool]:
        try:
            return await real(*args)
        except ExchangeError:
            return b"", False

    return mock.patch.object(delivery, "_read", read)


def _free_at_once() -> Any:
    def free(self: queue_state.QueueState, now: int) -> int:
        return 0 if self.is_held else self.queue.concurrency - self.slots_taken  # type: ignore[union-attr]

    return mock.patch.object(queue_state.QueueState, "free", free)


def _one_slot_more() -> Any:
    real = queue_state.QueueState.free
    return mock.patch.object(
        queue_state.QueueState, "free", lambda self, now: 0 if self.is_held else real(self, now) + 1
    )


def _pause_is_ignored() -> Any:
    real = queue_state.QueueState.configure
    return mock.patch.object(queue_state.QueueState, "configure", lambda self, queue, _: real(self, queue, False))


def _cancelled_runs() -> Any:
    real = dispatcher.Dispatcher.release

    def unclaim(self: Any, before: Any, after: Any) -> None:
        real(self, before, before if after is not None and after.finished is not None else after)

    return mock.patch.object(dispatcher.Dispatcher, "release", unclaim)


def _stale_cancel() -> Any:
    """Bring back what the simulation found: a job that had ended meanwhile was started again."""
    real = dispatcher.Dispatcher.release
    return mock.patch.object(
        dispatcher.Dispatcher, "release", lambda self, before, after: real(self, before, after or before)
    )


def _encoded_again() -> Any:
    real = envelope.delivery_body

    def body(job_id: str, queue: str, attempt: int, data: bytes) -> bytes:
        return real(job_id, queue, attempt, json.dumps(json.loads(data)).encode())

    return mock.patch.object(envelope, "delivery_body", body)


def _acknowledged_early() -> Any:
    real = Store.insert

    async def insert(self: Store, *args: Any, **options: Any) -> None:
        task = asyncio.ensure_future(real(self, *args, **options))
        await asyncio.sleep(0)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    return mock.patch.object(Store, "insert", insert)


def _arrivals_are_forgotten() -> Any:
    real = prefetch.PrefetchWindow.end_load

    def end_load(self: prefetch.PrefetchWindow, read: Any) -> None:
        self._arrived = {}
        real(self, read)

    return mock.patch.object(prefetch.PrefetchWindow, "end_load", end_load)


def _answer_order() -> Any:
    def add(self: running_attempts.AttemptBatch, _: Any) -> None:
        self._unanswered += 1  # and undo that as soon as it returns

    return mock.patch.object(running_attempts.AttemptBatch, "add", add)


def _newest_first() -> Any:
    def take_due(self: prefetch.PrefetchWindow, now_ms: int) -> Any:
        due = [pending.order for pending in self._held.values() if pending.job.due_ms <= now_ms]
        return self.take(max(due)[1]) if due else None

    return mock.patch.object(prefetch.PrefetchWindow, "take_due", take_due)


def _retrying_is_forgotten() -> Any:
    real = Store.pending

    async def pending(self: Store, *args: Any) -> Any:
        return [(job, data) for job, data in await real(self, *args) if job.failures == 0]

    return mock.patch.object(Store, "pending", pending)


def _recorded_twice() -> Any:
    real = Store.record

    async def record(self: Store, before: Any, after: Any, attempt: Any, *, can_wait: bool = False) -> None:
        await real(self, before, after, attempt, can_wait=can_wait)
        sql = "INSERT INTO attempts SELECT (SELECT max(id) + 1 FROM attempts), * FROM ({}) LIMIT 1"
        copy = sql.format(f"SELECT seq, {ATTEMPT_COLUMNS} FROM attempts WHERE seq = ? ORDER BY id DESC")
        if attempt.number == 2:
            await self._writer.call(lambda db: db.execute(copy, (before.seq,)))

    return mock.patch.object(Store, "record", record)


def _slot_is_lost() -> Any:
    real = executor.Executor._finish

    async def end(self: Any, view: queue_state.QueueState, running: Any, outcome: Any, data: Any) -> None:
        view.slots_taken += outcome.kind is OutcomeKind.CANCELLED
        await real(self, view, running, outcome, data)

    return mock.patch.object(executor.Executor, "_finish", end)


def _time_jumps() -> Any:
    def next_instant(self: Any, until: int | None) -> int | None:
        due = self._dispatcher.next_due()
        end = until if until is not None else due
        return end if end is not None and end > self._clock.now() else None

    return mock.patch.object(timeline.VirtualTimeline, "_next_instant", next_instant)


def _reserved_slots_are_forgotten() -> Any:
    return mock.patch.object(dispatcher.Dispatcher, "occupy_slot", lambda self, key, until: None)


def _time_is_not_stored() -> Any:
    real = Store.save

    async def save(self: Store, facts: Any) -> None:
        await real(self, {name: value for name, value in facts.items() if name != "now_ms"})

    return mock.patch.object(Store, "save", save)


def _timeout_takes_no_time() -> Any:
    return mock.patch.object(clock.VirtualClock, "uncounted", lambda self, timeout_ms: 0)


def _pause_is_not_stored() -> Any:
    async def pause(self: Store, key: Any, is_paused: bool) -> None:
        await self.settled()

    return mock.patch.object(Store, "pause", pause)


def _reset_leaves_the_backlog() -> Any:
    return mock.patch.object(prefetch.PrefetchWindow, "emptied", lambda self: self)


def _edit_is_late() -> Any:
    def configure(self: Engine) -> None:
        active = self._active
        asyncio.get_running_loop().call_later(
            0.01, self._dispatcher.configure, active.queues, active.targets, active.paused
        )

    def first(self: Engine) -> None:
        active = self._active
        self._dispatcher.configure(active.queues, active.targets, active.paused)
        self._configure = configure.__get__(self)  # type: ignore[method-assign]

    return mock.patch.object(Engine, "_configure", first)


def _nobody_wakes() -> Any:
    return mock.patch.object(dispatcher.Dispatcher, "_changed", lambda self, state: self._states.mark_changed(state))


def _early() -> Any:
    real = queue_state.QueueState.take_due
    return mock.patch.object(queue_state.QueueState, "take_due", lambda self, now: real(self, now + 5))


def _nothing_is_planned() -> Any:
    return mock.patch.object(
        queue_state.QueueStates, "schedule", lambda self, state, now: setattr(state, "scheduled_for", None)
    )


def _clock_follows_back() -> Any:
    real = clock.WallClock._system_s

    def time(self: clock.WallClock) -> float:
        self._ahead = real_time.system_time() - self.monotonic()  # type: ignore[attr-defined]
        return real(self)

    return mock.patch.object(clock.WallClock, "_system_s", time)


def _far_ahead() -> Any:
    async def clamp_due_times(*_: Any) -> None:
        pass

    return mock.patch.object(recovery, "_clamp_due_times", clamp_due_times)


PLANTS = {
    "the delay is counted from the start of an attempt": Planted(_decide(_from_start), "I5", 1),
    "there is one retry too many": Planted(_decide(_one_more), "I4", 1),
    "there is one retry too few": Planted(_decide(_one_fewer), "I4", 1),
    "an interruption costs a retry": Planted(_decide(_interruption_counts), "I9", 22),
    "a redirect completes a job": Planted(_redirects_complete, "I3", 1),
    "a body that is cut short completes a job": Planted(_cut_completes, "I3", 2),
    "a timeout frees its slot at once": Planted(_free_at_once, "I6", 5),
    "a timeout takes no time": Planted(_timeout_takes_no_time, "I5", 3),
    "a queue has one slot more": Planted(_one_slot_more, "I6", 1),
    "a paused queue is dispatched": Planted(_pause_is_ignored, "states.paused"),
    "a pause is forgotten over a restart": Planted(_pause_is_not_stored, "states.paused", 1),
    "a cancelled job runs again": Planted(_cancelled_runs, "I7", 5),
    "a job that ended while it was to be cancelled runs again": Planted(_stale_cancel, "I7", 141),
    "data is encoded again": Planted(_encoded_again, "I8"),
    "a job is acknowledged before it is on disk": Planted(_acknowledged_early, "I1", 5),
    "what arrives while the backlog is read is forgotten": Planted(_arrivals_are_forgotten, "I11", 12),
    "outcomes are applied in the order of the answers": Planted(_answer_order, "time.order", 3),
    "the newest job comes first": Planted(_newest_first, "deliver.order", 2),
    "a restart forgets jobs that wait for a retry": Planted(_retrying_is_forgotten, "I2", 4),
    "an attempt is recorded twice": Planted(_recorded_twice, "states.attempts", 1),
    "a cancelled attempt keeps its slot": Planted(_slot_is_lost, "I11", 11),
    "time jumps over what is due": Planted(_time_jumps, "I11", 6),
    "a restart forgets the slots of timeouts": Planted(_reserved_slots_are_forgotten, "I6", 72),
    "a restart forgets the time": Planted(_time_is_not_stored, "time.stored", 11),
    "a reset leaves jobs in memory": Planted(_reset_leaves_the_backlog, "I7", 17),
    "nobody is woken by news": Planted(_nobody_wakes, "I11", 94),
    "an attempt is started 5 ms early": Planted(_early, "I5", 7),
    "nobody wakes for the next due time": Planted(_nothing_is_planned, "I11", 1),
    "a clock that is set back takes the time along": Planted(_clock_follows_back, "I5", 26),
    "what is due in an hour stays so over a restart": Planted(_far_ahead, "I5", 2),
    "an edited catalog takes effect late": Planted(_edit_is_late, "configure.queues", 17),
}
