"""Check a history, of the simulation or of real processes, against what must hold of every history.

The rules are those of docs/semantics.md; the invariants, by their short names:

I1 no acknowledged job is missing, I2 each of them ends, I3 completed means that an attempt was responded 2xx in
full and in time, I4 failed means exactly retries + 1 counted attempts in the last round, I5 the next attempt is
due exactly retryDelayMs after the end of the failed one and is never early, I6 no more attempts than `concurrency`
are running, I7 nothing starts after a final state but by a retry by hand, I8 the bytes delivered are the bytes
submitted, I9 numbers are dense within a round, I10 nothing is left over, I11 what is due and has a slot is started.

A call has three outcomes: done, refused, or unknown (no answer: it may have been done or not). Where two calls
about the same job overlap, either order is right, and the job's state is unknown until it can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.sim import history
from tests.sim.checker.attempts import Attempts
from tests.sim.checker.calls import Calls
from tests.sim.checker.expected import FINAL, Expected, Problem
from tests.sim.checker.process import Process
from tests.sim.checker.schedules import Schedules
from tests.sim.history import Entry, History

__all__ = ["Checker", "Problem", "check"]

_BETWEEN = (history.Opened, history.Crashed, history.Disk)
"""What is seen of a process that is not open: it has not found its time yet."""


def check(found: History, *, is_settled: bool = True) -> list[Problem]:
    """Return the problems of a history. `is_settled`: every job had the chance to finish."""
    checker = Checker()
    checker.follow(found.entries)
    if is_settled:
        checker.settle()
    return checker.problems


class Checker:
    """Check a history piece by piece; no call may return in a later piece than it begins in."""

    def __init__(self) -> None:
        self._expected = expected = Expected()
        attempts = Attempts(expected)
        calls, process = Calls(expected), Process(expected, attempts)
        self._schedules = schedules = Schedules(expected)
        self._followed = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            history.Opened: process.opened,
            history.Configured: process.configured,
            history.Scripted: attempts.scripted,
            history.Listening: process.listening,
            history.Fired: schedules.fired,
            history.FiringEnded: schedules.ended,
            history.Crashed: process.crashed,
            history.Stopped: process.stopped,
            history.Disk: process.disk,
            history.Trouble: process.trouble,
            history.Tick: calls.tick,
            history.Wrong: lambda fact: expected.report("I10", fact.what),
            history.Called: calls.called,
            history.Returned: calls.returned,
            history.Gone: calls.gone,
            history.Moved: calls.moved,
            history.Started: attempts.started,
            history.Arrived: attempts.arrived,
            history.Responded: attempts.responded,
            history.Ended: attempts.ended,
        }

    @property
    def problems(self) -> list[Problem]:
        """Return what was found so far."""
        return self._expected.problems

    def follow(self, entries: Sequence[Entry]) -> None:
        """Check what has happened since."""
        facts = [entry.fact for entry in entries]
        self._expected.answers = {fact.call: fact.code for fact in facts if isinstance(fact, history.Returned)}
        for entry in entries:
            self._follow(entry)

    def _follow(self, entry: Entry) -> None:
        expected, index = self._expected, self._followed
        went_back = entry.now < expected.now and not isinstance(entry.fact, _BETWEEN)
        if entry.real > expected.real:
            expected.instant = index
        expected.index, expected.now, expected.real = index, entry.now, entry.real
        if went_back and not expected.outstanding("reset"):
            expected.report("I5", "time went back")
        self._schedules.follow(entry.fact)
        self._handlers[type(entry.fact)](entry.fact)
        self._followed += 1

    def settle(self) -> None:
        """Check that every job has finished, now that each had the chance to."""
        for job in self._expected.jobs.values():
            if job.is_there and job.state not in FINAL:
                self._expected.report("I2", f"{job.id} ends as {job.state}")
