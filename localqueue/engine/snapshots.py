"""Show jobs and queues as people see them at the moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from localqueue.core import lifecycle
from localqueue.core.models import Job, JobState, Queue, QueueKey
from localqueue.engine.queue_state import QueueState
from localqueue.engine.running_attempts import RunningAttempt


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """Hold a queue's settings (None while no catalog declares it), its numbers by state, and what holds it."""

    key: QueueKey
    queue: Queue | None
    counts: Mapping[JobState, int]
    held: str | None
    enqueued: int

    @property
    def in_flight(self) -> int:
        """Return how many attempts are under way."""
        return self.counts[JobState.RUNNING]


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """Hold a job as people see it now."""

    job: Job
    state: JobState
    held: str | None
    max_attempts: int
    started_ms: int | None = None


def snapshot_job(job: Job, lane: QueueState | None, flight: RunningAttempt | None, now_ms: int) -> JobSnapshot:
    """Return the job as people see it now."""
    if flight is not None and job.finished is None:
        job = flight.job
    state = lifecycle.state_of(job, is_running=flight is not None, now_ms=now_ms)
    return snapshot_in_state(job, state, lane, None if flight is None else flight.started_ms)


def snapshot_in_state(job: Job, state: JobState, lane: QueueState | None, started_ms: int | None) -> JobSnapshot:
    """Return the job in this state as people see it."""
    is_waiting = state in (JobState.QUEUED, JobState.RETRYING)
    queue = lane.queue if lane is not None else None
    maximum = queue.max_attempts if is_waiting and queue is not None else job.max_attempts
    since = started_ms if state is JobState.RUNNING else None
    return JobSnapshot(job, state, held(lane) if is_waiting else None, maximum, since)


def held(lane: QueueState | None) -> str | None:
    """Return what keeps the jobs of a queue from being started, or None."""
    if lane is None or lane.queue is None:
        return "queue_missing"
    return "paused" if lane.is_paused else None


def count_by_state(stored: Mapping[str, int], flights: Collection[RunningAttempt], now_ms: int) -> dict[JobState, int]:
    """Return a queue's numbers from those on disk, and its attempts under way.

    An attempt may have ended on disk while it still counts as under way: no job is counted twice.
    """
    pending = stored.get("pending", 0)
    running = min(len(flights), pending)
    waiting = stored.get("waiting", 0) - sum(flight.before.due_ms > now_ms for flight in flights)
    retrying = max(min(waiting, pending - running), 0)
    return {
        JobState.QUEUED: pending - running - retrying,
        JobState.RUNNING: running,
        JobState.RETRYING: retrying,
        **{state: stored.get(state, 0) for state in JobState if state.is_finished},
    }
