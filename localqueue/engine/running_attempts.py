"""Hold running attempts, and apply the outcomes of a batch in starting order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from localqueue.core import lifecycle, summaries
from localqueue.core.clock import Deadline
from localqueue.core.models import Attempt, Job, Outcome, OutcomeKind, Queue


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """A running attempt, with the settings under which it started.

    `before` is the job as it was; `job` is the job with this attempt. `monotonic_start` is in seconds.
    `deadline` is the end of timeoutMs, once the request is being sent.
    `turn` is done when the outcome may be applied; None means as soon as it is in.
    """

    job: Job
    before: Job
    queue: Queue
    url: str
    started_ms: int
    monotonic_start: float
    turn: asyncio.Future[None] | None = None
    cut: OutcomeKind | None = None
    is_sending: bool = False
    task: asyncio.Task[None] | None = None
    deadline: Deadline | None = None

    @property
    def is_held(self) -> bool:
        """Return whether it may take longer than timeoutMs."""
        return self.deadline is not None and self.deadline.is_held

    def cut_off(self, kind: OutcomeKind) -> asyncio.Task[None]:
        """End the attempt now; return the task that records it."""
        assert self.task is not None
        if self.cut is None:
            self.cut = kind
            if self.is_sending:  # before, the flag is enough; after, the outcome is in and must be stored
                self.task.cancel()
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)  # or the caller would wait for the rest of the batch
        return self.task


class AttemptBatch:
    """The attempts that started together, whose outcomes are applied in starting order.

    No outcome is applied before all are in: the order in which services respond must not change what follows.
    """

    def __init__(self) -> None:
        self._attempts: list[RunningAttempt] = []
        self._unanswered = 0

    def add(self, attempt: RunningAttempt) -> None:
        """Add an attempt, in starting order."""
        attempt.turn = asyncio.get_running_loop().create_future()
        self._attempts.append(attempt)
        self._unanswered += 1

    def mark_answered(self) -> None:
        """Note that one more attempt has its outcome, or is over."""
        self._unanswered -= 1
        if self._unanswered == 0:  # soon, not now: the last attempt does not wait for its turn yet
            asyncio.get_running_loop().call_soon(self._apply_outcomes)

    def _apply_outcomes(self) -> None:
        for attempt in self._attempts:
            if attempt.turn is not None and not attempt.turn.done():
                attempt.turn.set_result(None)


def attempt_record(
    running: RunningAttempt, outcome: Outcome, decision: lifecycle.Decision, ended_ms: int, duration_ms: int
) -> Attempt:
    """Return the record of an attempt that has ended."""
    job = running.job
    return Attempt(
        round=job.round,
        number=job.attempt,
        max_attempts=job.max_attempts,
        due_ms=running.before.due_ms,
        started_ms=running.started_ms,
        ended_ms=ended_ms,
        duration_ms=duration_ms,
        url=running.url,
        outcome=outcome,
        next_due_ms=decision.next_due_ms,
        reason=decision.reason,
        summary=summaries.summarize(outcome),
    )
