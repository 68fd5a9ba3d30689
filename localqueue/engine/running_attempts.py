"""Hold attempts under way, and let those of a batch land in starting order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from localqueue.core import lifecycle
from localqueue.core.models import Attempt, Job, Outcome, OutcomeKind, Queue


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """Hold an attempt under way, with the settings under which it was started.

    `turn` is done when its outcome may be applied; None means as soon as it is there.
    """

    job: Job
    before: Job
    queue: Queue
    url: str
    started_ms: int
    began: float
    turn: asyncio.Future[None] | None = None
    cut: OutcomeKind | None = None
    is_on_wire: bool = False
    task: asyncio.Task[None] | None = None

    def cut_off(self, kind: OutcomeKind) -> asyncio.Task[None]:
        """End the attempt now; return the task that records it."""
        assert self.task is not None
        if self.cut is None:
            self.cut = kind
            if self.is_on_wire:  # before, the flag is enough; after, the outcome is in and must be stored
                self.task.cancel()
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)  # or who waits for the cut would wait for the rest of the batch
        return self.task


class AttemptBatch:
    """Let the outcomes of attempts that were started together be applied in starting order.

    None of them is applied before all were answered: in which order services happen to answer must not
    be seen in what follows.
    """

    def __init__(self) -> None:
        self._flights: list[RunningAttempt] = []
        self._unanswered = 0

    def add(self, flight: RunningAttempt) -> None:
        """Take an attempt in, in starting order."""
        flight.turn = asyncio.get_running_loop().create_future()
        self._flights.append(flight)
        self._unanswered += 1

    def answered(self) -> None:
        """Note that one more attempt has its outcome and waits for its turn, or is over."""
        self._unanswered -= 1
        if self._unanswered == 0:  # soon, not now: the last one to be answered does not wait yet
            asyncio.get_running_loop().call_soon(self._land)

    def _land(self) -> None:
        for flight in self._flights:
            if flight.turn is not None and not flight.turn.done():
                flight.turn.set_result(None)


def attempt_record(
    flight: RunningAttempt, outcome: Outcome, decision: lifecycle.Decision, ended_ms: int, duration_ms: int
) -> Attempt:
    """Return what is kept of an attempt that has ended."""
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
