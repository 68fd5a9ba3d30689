"""Check what survives the end of a process, and what is left of it."""

from __future__ import annotations

from collections import Counter

from tests.sim import history
from tests.sim.checker.attempts import Attempts
from tests.sim.checker.calls import forget
from tests.sim.checker.expected import FINAL, Expected, Job
from tests.sim.history import Stored

OPENING_MS = 5000
"""How long opening the file may take, in the loop's time."""


class Process:
    """Follow starts, stops and crashes."""

    def __init__(self, expected: Expected, attempts: Attempts) -> None:
        self._expected = expected
        self._attempts = attempts
        self._was_open = False
        self._open_reset: int | None = None  # one that the process died in

    def opened(self, fact: history.Opened) -> None:
        """Check that the time goes on where it was."""
        here = self._expected
        here.is_virtual, self._was_open = fact.mode == "virtual", True
        if here.is_virtual and here.now < here.told_ms:
            here.wrong("time.stored", f"time went back by {here.told_ms - here.now} ms over a restart")
        here.keep, here.lost_verbs = fact.keep, set()
        self.configured(fact)
        if not here.is_virtual:
            self._clamp(fact)

    def _clamp(self, fact: history.Opened) -> None:
        """Follow that after a restart nothing is due later than now and the delay; opening takes some time."""
        for job in self._expected.jobs.values():
            queue = fact.queues.get(job.queue)
            if queue is not None and job.state == "pending":
                latest = self._expected.now + queue.retry_delay_ms
                if job.due_latest > latest - OPENING_MS:
                    job.due, job.due_latest = min(job.due, latest - OPENING_MS), min(job.due_latest, latest)

    def configured(self, fact: history.Configured | history.Opened) -> None:
        """Follow the catalog in force."""
        here = self._expected
        here.targets = fact.targets
        for call in here.calls.values():
            call.is_undisturbed = False
        for key in {**here.lanes, **fact.queues}:
            lane = here.lane(key)
            lane.settings, lane.since = fact.queues.get(key), here.index

    def trouble(self, _: history.Trouble) -> None:
        """Take note that the disk has failed."""
        self._expected.trouble, self._expected.trouble_s = self._expected.index, self._expected.real

    def crashed(self, _: history.Crashed) -> None:
        """Follow the death of the process: what was asked for may have been done or not."""
        self._open_reset = next((n for n, call in self._expected.calls.items() if call.verb == "reset"), None)
        self._expected.lost_verbs = {call.verb for call in self._expected.calls.values()}
        self._forget_calls()

    def stopped(self, _: history.Stopped) -> None:
        """Check that a stop records every attempt."""
        here = self._expected
        for job in here.jobs.values():
            if job.flight is not None and here.trouble < job.flight.index:
                here.wrong("stop.grace", f"attempt {job.flight.begun.attempt} of {job.id} has no row after a stop")
        self._forget_calls()

    def _forget_calls(self) -> None:
        for number in list(self._expected.calls):
            forget(self._expected, number)
        for lane in self._expected.lanes.values():
            lane.settle()

    # the file

    def disk(self, fact: history.Disk) -> None:
        """Compare what is on disk with what must be there."""
        here = self._expected
        if fact.problem != "ok":
            here.wrong("I1", f"the file is damaged: {fact.problem}")
        there = {stored.data for stored in fact.jobs}
        self._settle_reset(there)
        for stored in fact.jobs:
            self._compare(stored)
        for job in here.jobs.values():
            if job.data not in there and not job.is_void:
                self._missing(job)
            job.flight = None
        self._was_open = False
        self._count(fact)
        for key, lane in here.lanes.items():
            if lane.is_paused not in (None, key in fact.pauses):
                here.wrong("states.paused", f"{key} is {'not ' * lane.is_paused}paused on disk")
            lane.is_paused = key in fact.pauses

    def _settle_reset(self, there: set[bytes]) -> None:
        """Conclude whether the reset that the process died in was done."""
        here, reset = self._expected, self._open_reset
        self._open_reset = None
        if reset is None:
            return
        before = [job for job in here.jobs.values() if job.is_there and job.call < reset]
        if before and not any(job.data in there for job in before):
            for job in before:
                job.flight = None
            here.wipe(reset)
        elif not before:  # then it can't be told
            for lane in here.lanes.values():
                lane.is_paused = None

    def _missing(self, job: Job) -> None:
        owed = self._expected.lane(job.queue).owed
        for row in job.rows:  # what is pruned is forgotten, the slots it owes too
            if row.outcome == "timeout" and row.ended_ms in owed:
                owed.remove(row.ended_ms)
        may_be_pruned = self._expected.keep < 100 and (job.state in (*FINAL, None) or job.flight is not None)
        if job.is_known and not may_be_pruned:
            self._expected.wrong("I1", f"{job.id} {job.data[:30]!r} was acknowledged and is {job.state}, but missing")
        job.is_void = True

    def _compare(self, stored: Stored) -> None:
        here, job = self._expected, self._expected.jobs.get(stored.data)
        if job is None or job.is_void:
            here.wrong("I1", f"{stored.id} is on disk, which nobody has enqueued, or which was removed")
            return
        here.learn(job, stored.id)
        job.is_known = True
        if (job.queue, job.created) != (stored.queue, stored.created_ms):
            here.wrong(
                "I1", f"{stored.id} is of {stored.queue} at {stored.created_ms}, not {job.queue} at {job.created}"
            )
        known = len(job.rows)
        if list(stored.rows[:known]) != job.rows:
            here.wrong("states.attempts", f"{stored.id} has other attempts on disk than those that were told of")
        for row in stored.rows[known:]:
            self._attempts.record(job, row)
        self._compare_state(job, stored)

    def _compare_state(self, job: Job, stored: Stored) -> None:
        here, state = self._expected, stored.finished or "pending"
        may_be_clamped = not here.is_virtual and not self._was_open  # it has died while it was opening
        earliest = 0 if may_be_clamped else job.due
        if job.state is None:
            job.state, job.round, job.failures, job.was_final = state, stored.round, stored.failures, here.index
        elif (state, stored.round, stored.failures) != (job.state, job.round, job.failures):
            found = f"{state} in round {stored.round} after {stored.failures} failures"
            here.wrong("I1", f"{job.id} is {found}, not {job.state} in round {job.round} after {job.failures}")
        elif state == "pending" and not earliest <= stored.due_ms <= job.due_latest:
            here.wrong("I5", f"{job.id} is due at {stored.due_ms} instead of {job.due}")
        job.due = job.due_latest = stored.due_ms

    def _count(self, fact: history.Disk) -> None:
        counts = Counter(stored.finished or "pending" for stored in fact.jobs)
        if counts != {state: int(n) for state, n in fact.counts.items() if n}:
            self._expected.wrong("I1", f"the counts say {fact.counts}, there are {counts}")
        if counts.total() - counts["pending"] > self._expected.keep:
            self._expected.wrong("storage.retention", f"{counts} with --keep {self._expected.keep}")
