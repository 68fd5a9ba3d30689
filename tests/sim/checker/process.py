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
        """Check that the time continues where it was."""
        here = self._expected
        here.is_virtual, here.is_remote, self._was_open = fact.mode == "virtual", fact.is_remote, True
        if here.is_virtual and here.now < here.latest_ms:
            here.report("time.stored", f"time went back by {here.latest_ms - here.now} ms over a restart")
        here.keep, here.lost_verbs = fact.keep, set()
        here.silent = set(fact.silent or ())
        self.configured(fact)
        for view in here.views.values():
            view.listens_s = -1000.0 if fact.silent is None else here.real  # the services are looked for again
        if not here.is_virtual:
            self._clamp(fact)

    def _clamp(self, fact: history.Opened) -> None:
        """Follow that after a restart nothing is due later than now and the delay; opening takes some time."""
        opening_ms = 0 if fact.is_remote else OPENING_MS  # the launch comes before the opening
        for job in self._expected.jobs.values():
            queue = fact.queues.get(job.queue)
            if queue is not None and job.state == "pending":
                latest = self._expected.now + queue.retry_delay_ms + self._expected.slack_ms
                if job.due_latest > latest - opening_ms:
                    job.due, job.due_latest = min(job.due, latest - opening_ms), min(job.due_latest, latest)

    def configured(self, fact: history.Configured | history.Opened) -> None:
        """Follow the catalog in force."""
        here = self._expected
        here.targets = fact.targets
        for call in here.calls.values():
            call.is_undisturbed = False
        for key in {**here.views, **fact.queues}:
            view = here.view(key)
            view.settings, view.since = fact.queues.get(key), here.index
            view.is_silent = key[0] in here.silent

    def listening(self, fact: history.Listening) -> None:
        """Follow that the jobs of a service are released soon."""
        self._expected.silent.discard(fact.namespace)
        for key, view in self._expected.views.items():
            if key[0] == fact.namespace:
                view.is_silent, view.listens_s = False, self._expected.real

    def trouble(self, _: history.Trouble) -> None:
        """Take note that the disk has failed."""
        self._expected.trouble, self._expected.trouble_s = self._expected.index, self._expected.real

    def crashed(self, _: history.Crashed) -> None:
        """Follow the death of the process: running calls may have taken effect or not."""
        self._open_reset = next((n for n, call in self._expected.calls.items() if call.verb == "reset"), None)
        self._expected.lost_verbs = {call.verb for call in self._expected.calls.values()}
        self._forget_calls()

    def stopped(self, _: history.Stopped) -> None:
        """Check that a stop records every attempt."""
        here = self._expected
        for job in here.jobs.values():
            if job.running is not None and here.trouble < job.running.index:
                here.report("stop.grace", f"attempt {job.running.started.attempt} of {job.id} has no row after a stop")
        self._forget_calls()

    def _forget_calls(self) -> None:
        for number in list(self._expected.calls):
            forget(self._expected, number)
        for view in self._expected.views.values():
            view.settle()

    # the file

    def disk(self, fact: history.Disk) -> None:
        """Compare what is on disk with what must be there."""
        here = self._expected
        self._forget_calls()  # those that were on their way when the process died
        if fact.problem != "ok":
            here.report("I1", f"the file is damaged: {fact.problem}")
        there = {stored.data for stored in fact.jobs}
        self._settle_reset(there)
        for stored in fact.jobs:
            here.newest = -1  # the rows come by job, not in the order in which they were written
            self._compare(stored)
        for job in here.jobs.values():
            if job.data not in there and not job.is_deleted:
                self._missing(job)
            job.running = None
        self._was_open = False
        self._count(fact)
        for key, view in here.views.items():
            if view.is_paused not in (None, key in fact.pauses):
                here.report("states.paused", f"{key} is {'not ' * view.is_paused}paused on disk")
            view.is_paused = key in fact.pauses
        self._forget_deleted()

    def _forget_deleted(self) -> None:
        """Let go of what can't come back: a process that has ended leaves no call."""
        here = self._expected
        here.ended.clear()
        for job in [job for job in here.jobs.values() if job.is_deleted]:
            del here.jobs[job.data]
            if here.by_id.get(job.id) is job:
                del here.by_id[job.id]

    def _settle_reset(self, there: set[bytes]) -> None:
        """Conclude whether the reset that the process died in was done."""
        here, reset = self._expected, self._open_reset
        self._open_reset = None
        if reset is None:
            return
        before = [job for job in here.jobs.values() if job.is_there and job.call < reset]
        if before and not any(job.data in there for job in before):
            for job in before:
                job.running = None
            here.reset_all(reset)
        elif not before:  # then it can't be told
            for view in here.views.values():
                view.is_paused = None

    def _missing(self, job: Job) -> None:
        reserved = self._expected.view(job.queue).reserved
        for row in job.rows:  # what is pruned is forgotten, the slots it owes too
            if row.outcome == "timeout" and row.ended_ms in reserved:
                reserved.remove(row.ended_ms)
        may_be_pruned = self._expected.keep < 100 and (job.state in (*FINAL, None) or job.running is not None)
        if job.is_known and not may_be_pruned:
            self._expected.report("I1", f"{job.id} {job.data[:30]!r} was acknowledged and is {job.state}, but missing")
        job.is_deleted = True

    def _compare(self, stored: Stored) -> None:
        here, job = self._expected, self._expected.jobs.get(stored.data)
        if job is None or job.is_deleted:
            here.report("I1", f"{stored.id} is on disk, which nobody has enqueued, or which was removed")
            return
        here.learn(job, stored.id)
        job.is_known = True
        if job.queue != stored.queue or not job.created <= stored.created_ms <= job.created_latest:
            here.report(
                "I1", f"{stored.id} is of {stored.queue} at {stored.created_ms}, not {job.queue} at {job.created}"
            )
        job.created = job.created_latest = stored.created_ms
        known = len(job.rows)
        if list(stored.rows[:known]) != job.rows:
            here.report("states.attempts", f"{stored.id} has other attempts on disk than those that were reported")
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
            here.report("I1", f"{job.id} is {found}, not {job.state} in round {job.round} after {job.failures}")
        elif state == "pending" and not earliest <= stored.due_ms <= job.due_latest:
            here.report("I5", f"{job.id} is due at {stored.due_ms} instead of {job.due}")
        job.due = job.due_latest = stored.due_ms

    def _count(self, fact: history.Disk) -> None:
        counts = Counter(stored.finished or "pending" for stored in fact.jobs)
        if counts != {state: int(n) for state, n in fact.counts.items() if n}:
            self._expected.report("I1", f"the counts say {fact.counts}, there are {counts}")
        if counts.total() - counts["pending"] > self._expected.keep:
            self._expected.report("storage.retention", f"{counts} with --keep {self._expected.keep}")
