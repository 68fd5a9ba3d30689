"""The line that the log has for a delivery."""

from __future__ import annotations

from dataclasses import replace

from localqueue.cli.output.phrases import delivery
from localqueue.cli.output.terminal import Painter
from localqueue.core.models import Attempt, AttemptError, Job, JobState, Outcome, OutcomeKind

JOB = Job(seq=1, id="0" * 24 + "9a3b6bff", namespace="shop", queue="work", created_ms=0, due_ms=5000)
FAILED = Outcome(OutcomeKind.HTTP_ERROR, 503, AttemptError("http_503", "the service responded 503"))
ATTEMPT = Attempt(1, 1, 4, 0, 0, 4, 4, "http://localhost:3000/work", FAILED, 5004, "retry 1 of 3")


def line(attempt: Attempt, columns: int | None = None) -> str:
    return delivery("09:12:04.411", JOB, attempt, Painter(False), columns)


def test_an_injected_outcome_is_marked_where_it_stands_and_not_as_if_the_next_try_were_injected() -> None:
    """Rule faults.outcomes."""
    injected = replace(ATTEMPT, outcome=replace(FAILED, injected="503"))
    start = "09:12:04.411  work                 9a3b6bff  attempt 1/4  "
    assert line(ATTEMPT) == f"{start}503              4 ms  next try in 5 s"
    assert line(injected) == f"{start}503 (injected)     4 ms  next try in 5 s"
    assert line(injected, 80).endswith("503 (injected)   4 ms  next try in 5 s")


def test_the_attempts_of_a_retried_job_have_their_round_where_there_is_room() -> None:
    """Rule cli.up: a round counts its attempts from 1 again."""
    again = replace(ATTEMPT, round=2)
    assert line(again) == line(ATTEMPT).replace("next try", "round 2, next try")
    done = replace(again, outcome=Outcome(OutcomeKind.COMPLETED, 200), next_due_ms=None)
    completed = replace(JOB, finished=JobState.COMPLETED)
    assert delivery("09:12:04.411", completed, done, Painter(False), 120).endswith("4 ms  round 2, completed")
    assert line(again, 80) == line(ATTEMPT, 80)
