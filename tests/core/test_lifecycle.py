"""What becomes of a job after an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from localqueue.core import lifecycle
from localqueue.core.models import AttemptError, Job, JobState, Outcome, OutcomeKind, Queue

QUEUE = Queue("shop", "work", "/work", retries=2, retry_delay_ms=5000)


JOB = Job(1, "id", "shop", "work", 0, 0, attempt=1)
FAILURE = Outcome(OutcomeKind.HTTP_ERROR, 500, AttemptError("http_500", "x"))


def test_a_success_completes() -> None:
    """Rule deliver.two-xx."""
    found = lifecycle.decide(JOB, QUEUE, Outcome(OutcomeKind.COMPLETED, 204), 70)
    assert found.job == replace(JOB, finished=JobState.COMPLETED, finished_ms=70)
    assert (found.next_due_ms, found.reason) == (None, "responded 204")


def test_a_cancelled_attempt_ends_the_job() -> None:
    """Rule states.cancelled."""
    found = lifecycle.decide(JOB, QUEUE, Outcome(OutcomeKind.CANCELLED), 70)
    assert found.job == replace(JOB, finished=JobState.CANCELLED, finished_ms=70)
    assert (found.next_due_ms, found.reason) == (None, "cancelled")


def test_a_failure_is_due_again_exactly_one_delay_after_its_end() -> None:
    """Rule retry.delay."""
    found = lifecycle.decide(JOB, QUEUE, FAILURE, 70)
    assert found.job == replace(JOB, failures=1, due_ms=5070)
    assert (found.next_due_ms, found.job.next_number) == (5070, 2)
    assert found.reason == "retry 1 of 2, 5000 ms after the end of the attempt"


def test_the_last_failure_fails_the_job() -> None:
    """Rule retry.limit."""
    assert lifecycle.decide(replace(JOB, attempt=2, failures=1), QUEUE, FAILURE, 70).job.finished is None
    last = replace(JOB, attempt=3, failures=2)
    found = lifecycle.decide(last, QUEUE, FAILURE, 70)
    assert found.job == replace(last, failures=3, finished=JobState.FAILED, finished_ms=70)
    assert (found.next_due_ms, found.reason) == (None, "no retries left (retries: 2)")


def test_without_retries_there_is_one_attempt() -> None:
    """Rule retry.zero."""
    assert lifecycle.decide(JOB, replace(QUEUE, retries=0), FAILURE, 0).job.finished is JobState.FAILED


def test_an_interruption_costs_no_retry() -> None:
    """Rule deliver.interrupted."""
    job = replace(JOB, attempt=2, failures=1, due_ms=5)
    found = lifecycle.decide(job, QUEUE, Outcome(OutcomeKind.INTERRUPTED), 70)
    assert (found.job, found.next_due_ms) == (job, 5)
    assert found.reason == "interrupted: attempt 2 runs again and doesn't count as a retry"


def test_a_waiting_job_can_be_cancelled() -> None:
    """Rule states.cancelled."""
    assert lifecycle.cancel(JOB, 70) == replace(JOB, finished=JobState.CANCELLED, finished_ms=70)


def test_a_new_round_starts_at_attempt_1_and_is_due_now() -> None:
    """Rule retry.by-hand."""
    failed = replace(JOB, attempt=3, failures=3, finished=JobState.FAILED, finished_ms=60, round=2)
    assert lifecycle.new_round(failed, 70) == replace(JOB, attempt=0, failures=0, round=3, due_ms=70)


@pytest.mark.parametrize(
    ("job", "is_running", "state"),
    [
        (replace(JOB, finished=JobState.FAILED, finished_ms=1), False, JobState.FAILED),
        (replace(JOB, due_ms=100), True, JobState.RUNNING),
        (replace(JOB, due_ms=71), False, JobState.RETRYING),
        (replace(JOB, due_ms=70), False, JobState.QUEUED),
    ],
)
def test_the_state_of_a_job_follows_from_its_end_its_attempt_and_its_due_time(
    job: Job, is_running: bool, state: JobState
) -> None:
    assert lifecycle.state_of(job, is_running=is_running, now_ms=70) is state
