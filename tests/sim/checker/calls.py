"""Check the results of calls, and how calls moved the time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from localqueue.core.models import QueueKey
from tests.sim import history
from tests.sim.checker.expected import PLAYS, Call, Expected, Job

PATIENCE_S = 3
"""How many seconds in a row a job may be due and have a slot, without being started, on the wall clock."""
ALONE = (*PLAYS, "reset", "stop")


class Calls:
    """Follow calls from their beginning to their answers."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._reset_at: int | None = None  # what time it was when a reset set it back

    def called(self, fact: history.Called) -> None:
        """Follow the beginning of a call."""
        here = self._expected
        call = Call(here.index, here.now, here.real, fact.verb, fact.args, len(here.ended))
        for other in here.calls.values():
            other.is_undisturbed = call.is_undisturbed = False
            if fact.verb in ALONE and other.verb in ALONE:
                call.is_alone = other.is_alone = False
        here.calls[fact.call] = call
        if fact.verb == "enqueue":
            self._enqueue(fact.call, *fact.args)
        elif fact.verb in ("cancel", "retry", "retry_failed"):
            self._ask(fact.call, call)
        elif fact.verb in ("pause", "resume"):
            here.view(fact.args[0]).pausing.add(fact.call)

    def _enqueue(self, number: int, key: QueueKey, data: bytes) -> None:
        here = self._expected
        code = here.answers.get(number)
        earliest, latest = here.now - here.behind_ms, here.now
        if here.is_remote:
            latest = sys.maxsize  # until the call returns
        job = Job(number, key, data, earliest, latest, earliest, latest, here.index)
        job.is_deleted = code not in ("ok", None)
        job.is_known = code == "ok" and not here.outstanding("reset")
        here.jobs[data] = job
        for other, call in here.calls.items():
            if call.verb == "retry_failed" and call.args[0] == key:  # it may fail in time to be retried
                call.jobs.append(job)
                job.open_calls.add(other)

    def _ask(self, number: int, call: Call) -> None:
        here = self._expected
        if call.verb == "retry_failed":
            call.jobs = [job for job in here.jobs.values() if job.queue == call.args[0] and not job.is_deleted]
        elif job := here.by_id.get(call.args[0]):
            call.jobs = [job]
        for job in call.jobs:
            job.open_calls.add(number)
            if job.running is not None and call.verb == "cancel":
                job.running.is_cancelled = True

    def gone(self, fact: history.Gone) -> None:
        """Follow a client that has gone away."""
        forget(self._expected, fact.call)

    def returned(self, fact: history.Returned) -> None:
        """Compare an answer with what must be."""
        here = self._expected
        call = here.calls.pop(fact.call)
        if fact.code == "storage_unavailable":
            here.trouble = here.index  # it also failed what was waiting by then
        for job in call.jobs:
            job.open_calls.discard(fact.call)
        if call.verb in ("pause", "resume"):
            here.view(call.args[0]).pausing.discard(fact.call)
        if call.verb == "reset":
            self._admit(fact.call)
        if fact.code == "ok":
            if call.verb not in ("pause", "resume", "look", "hold"):
                here.latest_ms = here.now
            self._done(fact, call)
        elif call.verb == "retry_failed":
            _leave_open(call)
        elif fact.code == "wrong_state":
            for job in call.jobs:
                self._refused(fact, call, job)
        elif call.verb == "reset":
            self._not_reset()

    def _admit(self, reset: int) -> None:
        """Expect that jobs which came during a reset were made to wait for its end."""
        for job in self._expected.jobs.values():
            if job.call > reset and job.call in self._expected.calls:
                job.admitted.append(self._expected.now)

    def _not_reset(self) -> None:
        """Forgive rows of attempts that were cut off and could not be written either."""
        for job in self._expected.jobs.values():
            if job.running is not None and job.running.answer and job.running.index < self._expected.trouble:
                job.running = None

    def _done(self, fact: history.Returned, call: Call) -> None:
        if call.verb == "enqueue":
            self._enqueued(self._expected.jobs[call.args[1]], fact.value)
        elif call.verb in ("pause", "resume"):
            view = self._expected.view(call.args[0])
            view.is_paused, view.since = call.verb == "pause", self._expected.index
        elif call.verb == "reset":
            self._expected.reset_all(fact.call)
        elif call.verb in PLAYS:
            self._played(fact, call)
        elif call.verb == "look":
            self._looked(call, *fact.value)
        elif call.verb == "retry_failed" and self._expected.outstanding("reset"):
            _leave_open(call)  # nothing is left to retry, unless the reset fails
        elif call.verb == "retry_failed":
            self._retried_failed(call)
        elif call.verb == "hold":
            self._held(*call.args)
        else:
            for job in call.jobs:
                if not job.is_deleted:
                    (self._cancelled if call.verb == "cancel" else self._retried)(job, call, fact.value)

    # jobs

    def _enqueued(self, job: Job, id_: str) -> None:
        here = self._expected
        here.learn(job, id_)
        if here.is_remote:
            job.created_latest = here.now + here.slack_ms
            job.due_latest = job.due_latest if job.rows else job.created_latest
        if job.running is None and not job.rows:
            job.since = here.index

    def _cancelled(self, job: Job, call: Call, _: Any) -> None:
        here = self._expected
        if job.open_calls or (call.index < job.since and job.state not in ("cancelled", "pending")):
            job.state = None
        elif job.running is not None and job.running.index > here.trouble:  # else its row could not be written
            here.report("states.cancelled", f"{job.id} is said to be cancelled while an attempt is running")
        elif job.state == "pending":
            job.state, job.running = "cancelled", None
        elif job.state not in ("cancelled", None):
            here.report("states.cancelled", f"{job.id} was cancelled though it was {job.state}")
        job.was_final = here.index

    def _retried(self, job: Job, call: Call, round_: int) -> None:
        here = self._expected
        if job.round == round_ and job.state == "pending":
            return  # it was seen to be in its new round before
        is_certain = job.state is not None and not job.open_calls
        if is_certain and (job.state not in ("failed", "cancelled") or round_ != job.round + 1):
            here.report("retry.by-hand", f"round {round_} of {job.id}, which was {job.state} in round {job.round}")
        job.new_round(call.now, here.now, here.index)
        job.round = round_
        if job.open_calls:
            job.state = None

    def _retried_failed(self, call: Call) -> None:
        here = self._expected
        for job in call.jobs:
            may_be_pruned = job.is_deleted or here.keep < 100
            if job.state == "failed" and job.since < call.index and not job.open_calls and not may_be_pruned:
                job.new_round(call.now, call.now, here.index)
        _leave_open(call)

    def _refused(self, fact: history.Returned, call: Call, job: Job) -> None:
        here = self._expected
        if job.is_deleted or job.open_calls or job.state is None or here.outstanding("reset"):
            return
        if call.verb == "cancel" and job.state == "pending" and job.was_final < call.index and job.running is None:
            here.report("states.cancelled", f"{job.id} was waiting, but could not be cancelled: {fact.value}")
        if call.verb == "retry" and job.state in ("failed", "cancelled") and job.since < call.index:
            here.report("retry.by-hand", f"{job.id} was {job.state}, but could not be retried: {fact.value}")

    def _looked(self, call: Call, counts: Mapping[QueueKey, Mapping[str, int]], listed: Any) -> None:
        """Compare what is shown with what must be, where nothing else was going on."""
        here = self._expected
        there = [job for job in here.jobs.values() if not job.is_deleted]
        is_still = here.is_virtual and call.is_undisturbed and here.last_end < call.index and here.keep > 100
        if not is_still or any(job.running or job.state is None or not job.is_known for job in there):
            return
        states = {job.id: (job.queue, self._state(job)) for job in there}
        if {id_: (queue, state) for id_, queue, state in listed} != states:
            here.report("states", f"listed is {listed}, there are {states}")
        shown = {(key, state): n for key, found in counts.items() for state, n in found.items() if n}
        if shown != Counter(states.values()):
            here.report("states", f"counted are {shown}, there are {Counter(states.values())}")

    def _state(self, job: Job) -> str | None:
        if job.state != "pending":
            return job.state
        return "retrying" if job.due > self._expected.now else "queued"

    def _held(self, id_: str, is_held: bool) -> None:
        job = self._expected.by_id.get(id_)
        if job is not None and job.running is not None:
            job.running.is_held, job.running.held_s = is_held, self._expected.real

    # time

    def _played(self, fact: history.Returned, call: Call) -> None:
        is_whole, made = fact.value if call.verb == "drain" else (True, fact.value)
        self._check_made(made, call)
        if not call.is_alone:
            return
        if is_whole and self._expected.is_virtual:
            self._check_for_forgotten(max(call.index, self._expected.last_end))
        if call.verb == "drain":
            self._drained(is_whole, call)
        else:
            self._advanced(call)

    def _check_made(self, made: Sequence[tuple[str, int, int]], call: Call) -> None:
        seen = self._expected.ended[call.ended :]
        if call.is_alone and self._expected.is_virtual and list(made) != seen:
            self._expected.report("time.advance", f"{len(made)} attempts are said to be made, {len(seen)} were")
        if not set(made) <= set(seen):
            self._expected.report("time.advance", "attempts are said to be made that were not")

    def _advanced(self, call: Call) -> None:
        here = self._expected
        if call.verb == "advance_to_next":
            if call.moves > 1 and call.is_undisturbed:
                here.report("time.to-next", "advanced by more than one instant")
            return
        end = call.now + call.args[0] if call.verb == "advance" else max(call.now, call.args[0])
        if here.now != end and (here.is_virtual or here.now < end):
            here.report("time.advance", f"advanced to {here.now} instead of {end}")
        if not here.is_virtual:
            self._check_for_missed(call.index, end)

    def _check_for_missed(self, before: int, end: int) -> None:
        """Look for jobs that were ready before an advance on the wall clock, and due by its end."""
        for job, view in self._expected.ready():
            if job.id and max(job.since, view.since) < before and job.due_latest <= end:
                self._expected.report("time.wall-advance", f"{job.id} was due at {job.due_latest}, but was not made")
                return

    def _drained(self, is_idle: bool, call: Call) -> None:
        here = self._expected
        took_ms = (here.real - call.real) * 1000
        if not is_idle and took_ms < call.args[0] - 1:
            here.report("time.drain", f"not idle after {took_ms:.0f} ms of {call.args[0]}")
        for job, _ in here.ready():
            if is_idle and job.id and not self._has_just_come(job, call):
                here.report("time.drain", f"idle, but {job.id} is due at {job.due}")
                return

    def _has_just_come(self, job: Job, call: Call) -> bool:
        """Return whether a job may have come, or have been retried by hand, after the last look of a call.

        Between that look and the answer there is no time, but a few turns of the loop.
        """
        is_new = not job.rows or job.was_final == job.since
        return is_new and call.index < job.since >= self._expected.instant

    def _check_for_forgotten(self, before: int) -> None:
        """Look for jobs that were ready before this fact, and have not been started."""
        now = self._expected.now
        for job, view in self._expected.ready():
            is_old = job.id and max(job.since, view.since) < before and job.due_latest <= now
            if is_old and view.first_slot(now) == now:
                self._expected.report("I11", f"{job.id} is due and has a slot, but was not started")
                return

    def moved(self, fact: history.Moved) -> None:
        """Check that the time may move, and that it jumps over nothing."""
        here = self._expected
        if fact.after < fact.before:
            here.latest_ms, self._reset_at = fact.after, fact.before
            if not here.outstanding("reset"):
                here.report("time.virtual", f"time went back by {fact.before - fact.after} ms")
            return
        for call in here.calls.values():
            call.moves += 1
        if here.is_virtual:
            self._check_move(fact)

    def _check_move(self, fact: history.Moved) -> None:
        here = self._expected
        if not here.outstanding(*PLAYS, "reset"):  # a reset that fails moves it back to where it was
            here.report("time.virtual", "time moved by itself")
        if any(view.active for view in here.views.values()):
            here.report("time.virtual", "time moved while an attempt was running")
        was_restored, self._reset_at = here.outstanding("reset") and fact.after == self._reset_at, None
        if was_restored:
            return  # by a reset that failed: the jobs still wait that waited at this time before
        for job, view in here.ready():
            slot = view.first_slot(fact.before)
            if slot is not None and max(job.due_latest, slot) < fact.after:
                by_ms = fact.after - max(job.due, slot)
                here.report("I11", f"time jumped over {job.id or job.data[:20]!r}, due at {job.due}, by {by_ms} ms")
                return

    def tick(self, _: history.Tick) -> None:
        """Check on the wall clock that what is due and has a slot is started soon."""
        here = self._expected
        ready = {} if here.outstanding("stop", "reset") else dict(here.ready())
        for job in here.jobs.values():
            view = ready.get(job)
            is_late = view is not None and job.due_latest <= here.now and view.first_slot(here.now) is not None
            job.late = job.late + 1 if is_late and here.real - here.trouble_s > PATIENCE_S else 0
            if job.late == PATIENCE_S:
                here.report("I11", f"{job.id} is due and has a slot, but is not started")


def forget(expected: Expected, number: int) -> None:
    """Take note that it will never be known what came of a call."""
    call = expected.calls.pop(number)
    for job in call.jobs:
        job.open_calls.discard(number)
    if call.verb == "retry_failed":
        _leave_open(call)
    else:
        for job in call.jobs:
            job.state = None
    if call.verb in ("pause", "resume"):
        view = expected.view(call.args[0])
        view.pausing.discard(number)
        view.is_paused = None
    if call.verb == "enqueue" and not expected.jobs[call.args[1]].id:
        expected.jobs[call.args[1]].is_known = False


def _leave_open(call: Call) -> None:
    """Take note that failed jobs may have been retried by the call, or have failed too late for it."""
    for job in call.jobs:
        if job.state == "failed":
            job.state = None
