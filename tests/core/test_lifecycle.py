"""What becomes of a job after an attempt."""

from __future__ import annotations

from dataclasses import replace

from localqueue.core import lifecycle
from localqueue.core.models import AttemptError, Job, JobState, Outcome, OutcomeKind, Queue

QUEUE = Queue("shop", "work", "/work", retries=2, retry_delay_ms=5000)


JOB = Job(1, "id", "shop", "work", 0, 0, attempt=1)
FAILURE = Outcome(OutcomeKind.HTTP_ERROR, 500, AttemptError("http_500", "x"))


def test_a_success_completes() -> None:
    """Rule deliver.two-xx."""
    found = lifecycle.decide(JOB, QUEUE, Outcome(OutcomeKind.COMPLETED, 204), 70)
    assert (found.job.finished, found.job.finished_ms, found.next_due_ms) == (JobState.COMPLETED, 70, None)


def test_a_failure_is_due_again_exactly_one_delay_after_its_end() -> None:
    """Rule retry.delay."""
    found = lifecycle.decide(JOB, QUEUE, FAILURE, 70)
    assert (found.job.finished, found.next_due_ms, found.job.next_number) == (None, 5070, 2)


def test_the_last_failure_fails_the_job() -> None:
    """Rule retry.limit."""
    found = lifecycle.decide(replace(JOB, attempt=3, failures=2), QUEUE, FAILURE, 70)
    assert found.job.finished is JobState.FAILED


def test_without_retries_there_is_one_attempt() -> None:
    """Rule retry.zero."""
    assert lifecycle.decide(JOB, replace(QUEUE, retries=0), FAILURE, 0).job.finished is JobState.FAILED


def test_an_interruption_costs_no_retry() -> None:
    """Rule deliver.interrupted."""
    found = lifecycle.decide(replace(JOB, attempt=2, failures=1), QUEUE, Outcome(OutcomeKind.INTERRUPTED), 70)
    assert (found.job.next_number, found.next_due_ms) == (2, 0)
