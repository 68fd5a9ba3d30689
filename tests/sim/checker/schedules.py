"""Check firings of schedules: each instant once, at its time, and before the jobs of that instant."""

from __future__ import annotations

from tests.sim import history
from tests.sim.checker.expected import Expected

RULE = "schedule.timeline"
PATIENCE_S = 3
"""Within how many seconds a schedule fires on the wall clock."""


class Schedules:
    """Follow the firings by namespace; each namespace has one schedule at most."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._periods: dict[str, int] = {}
        self._forget()
        self._running = 0

    def _forget(self) -> None:
        """Start again: at the start of a process, and when a reset sets the clock back."""
        self._last: dict[str, int] = {}
        self._late: dict[str, int] = {}
        self._since = self._expected.now
        self._reached: int | None = None  # the instant to which the clock was moved
        self._has_started = False  # attempts at this instant

    def follow(self, fact: history.Fact) -> None:
        """Follow what else happens."""
        if isinstance(fact, history.Opened):
            self._periods, self._running = dict(fact.periods), 0
            self._forget()
        elif isinstance(fact, history.Started):
            self._has_started = True
        elif isinstance(fact, history.Moved):
            self._moved(fact)
        elif (
            isinstance(fact, history.Returned) and fact.code == "ok" and self._expected.calls[fact.call].verb == "reset"
        ):
            self._forget()
        elif isinstance(fact, history.Tick):
            self._tick()

    def fired(self, fact: history.Fired) -> None:
        """Check that a schedule fires now."""
        here, period = self._expected, self._periods[fact.namespace]
        self._running += 1
        if fact.fired_ms // period <= self._last.get(fact.namespace, self._since) // period:
            here.report(RULE, f"the schedule of {fact.namespace} fired again for {fact.fired_ms}")
        if here.is_virtual and (fact.fired_ms != here.now or here.now % period):
            here.report(RULE, f"the schedule of {fact.namespace} fired at {here.now} for {fact.fired_ms}")
        if here.is_virtual and self._has_started:
            here.report(RULE, f"the schedule of {fact.namespace} fired after the jobs of its instant")
        self._last[fact.namespace] = fact.fired_ms

    def ended(self, _: history.FiringEnded) -> None:
        """Follow the end of a firing."""
        self._running -= 1

    def _moved(self, fact: history.Moved) -> None:
        here, reached = self._expected, self._reached
        self._has_started = False
        if not here.is_virtual or here.outstanding("reset"):
            self._reached = None
            return
        self._reached = fact.after
        if self._running:
            here.report(RULE, "time moved while a schedule fired")
        for namespace, period in self._periods.items():
            if fact.before // period * period + period < fact.after:
                here.report(RULE, f"time jumped from {fact.before} to {fact.after} over a firing of {namespace}")
            if reached is not None and reached % period == 0 and self._last.get(namespace) != reached:
                here.report(RULE, f"the schedule of {namespace} did not fire at {reached}")

    def _tick(self) -> None:
        """Check on the wall clock that every schedule has fired since its latest instant."""
        here = self._expected
        for namespace, period in self._periods.items():
            latest = here.now // period * period
            is_late = latest > self._since and self._last.get(namespace, 0) < latest
            is_late &= not here.is_virtual and not here.outstanding("reset", "stop")
            self._late[namespace] = self._late.get(namespace, 0) + 1 if is_late else 0
            if self._late[namespace] == PATIENCE_S:
                here.report(RULE, f"the schedule of {namespace} did not fire at {latest}")
