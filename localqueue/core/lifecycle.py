"""Decide what an outcome means for a job. Pure: no I/O, no await."""

from __future__ import annotations

from localqueue.core.models import Job, JobState, Outcome, OutcomeKind, Queue
from localqueue.core.records import copy_with, record


@record
class Decision:
    """The job after an attempt, when it is due again in ms, and why."""

    job: Job
    next_due_ms: int | None
    reason: str


def decide(job: Job, queue: Queue, outcome: Outcome, ended_ms: int) -> Decision:
    """Apply the outcome of attempt `job.attempt`, which ended at `ended_ms`, under the queue's settings.

    Source: platform reference (2xx completes; else a fixed delay from the end of the attempt, at most
    `retries` + 1 attempts). Our decision: an interruption costs no retry and is due again at once.
    """
    if outcome.kind is OutcomeKind.COMPLETED:
        return _finish(job, JobState.COMPLETED, ended_ms, f"responded {outcome.status}")
    if outcome.kind is OutcomeKind.CANCELLED:
        return _finish(job, JobState.CANCELLED, ended_ms, "cancelled")
    if outcome.kind is OutcomeKind.INTERRUPTED:
        reason = f"interrupted: attempt {job.attempt} runs again and doesn't count as a retry"
        return Decision(job, job.due_ms, reason)
    return _retry_or_fail(copy_with(job, failures=job.attempt), queue, ended_ms)


def _retry_or_fail(job: Job, queue: Queue, ended_ms: int) -> Decision:
    if job.attempt > queue.retries:
        return _finish(job, JobState.FAILED, ended_ms, f"no retries left (retries: {queue.retries})")
    due_ms = ended_ms + queue.retry_delay_ms
    reason = f"retry {job.attempt} of {queue.retries}, {queue.retry_delay_ms} ms after the end of the attempt"
    return Decision(copy_with(job, due_ms=due_ms), due_ms, reason)


def _finish(job: Job, state: JobState, ended_ms: int, reason: str) -> Decision:
    return Decision(copy_with(job, finished=state, finished_ms=ended_ms), None, reason)


def cancel(job: Job, now_ms: int) -> Job:
    """Return the waiting job as cancelled."""
    return copy_with(job, finished=JobState.CANCELLED, finished_ms=now_ms)


def new_round(job: Job, now_ms: int) -> Job:
    """Return the job in a new round, due now, its next attempt number 1."""
    return copy_with(job, finished=None, finished_ms=None, round=job.round + 1, attempt=0, failures=0, due_ms=now_ms)


def state_of(job: Job, *, is_running: bool, now_ms: int) -> JobState:
    """Return the state of a job: a pending one is running, due (queued) or waiting (retrying)."""
    if job.finished is not None:
        return job.finished
    if is_running:
        return JobState.RUNNING
    return JobState.RETRYING if job.due_ms > now_ms else JobState.QUEUED
