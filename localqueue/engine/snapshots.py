"""Show jobs and queues in their current state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localqueue.core import lifecycle
from localqueue.core.models import Job, JobState, Queue, QueueKey
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.queue_state import QueueState
from localqueue.engine.running_attempts import RunningAttempt


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A queue's settings (None while no catalog declares it), its number of jobs by state, and why it is held.

    `changed` has what the catalog says of the settings that were changed by hand.
    """

    key: QueueKey
    queue: Queue | None
    counts: Mapping[JobState, int]
    held: str | None
    enqueued: int
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """Return the number of running attempts."""
        return self.counts[JobState.RUNNING]


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job in its current state."""

    job: Job
    state: JobState
    held: str | None
    max_attempts: int
    started_ms: int | None = None


def snapshot_queues(
    declared: Mapping[QueueKey, Queue],
    stored: Mapping[QueueKey, Mapping[str, int]],
    dispatcher: Dispatcher,
    enqueued: Mapping[QueueKey, int],
    now_ms: int,
    changes: Mapping[QueueKey, Mapping[str, Any]] | None = None,
) -> list[QueueSnapshot]:
    """Return a snapshot of every queue that is declared or has jobs on disk, in the order of their keys."""
    running: dict[QueueKey, list[RunningAttempt]] = {}
    for attempt in dispatcher.running.values():
        running.setdefault(attempt.job.key, []).append(attempt)
    states = dispatcher.queues
    return [
        QueueSnapshot(
            key,
            declared.get(key),
            count_by_state(
                stored.get(key, {}), running.get(key, ()), states[key].slots_taken if key in states else 0, now_ms
            ),
            why_held(states.get(key)),
            enqueued.get(key, 0),
            (changes or {}).get(key, {}),
        )
        for key in sorted({*declared, *stored})
    ]


def snapshot_job(job: Job, state: QueueState | None, running: RunningAttempt | None, now_ms: int) -> JobSnapshot:
    """Return a job in its current state."""
    if running is not None and job.finished is None:
        job = running.job
    job_state = lifecycle.state_of(job, is_running=running is not None, now_ms=now_ms)
    snapshot = snapshot_in_state(job, job_state, state, None if running is None else running.started_ms)
    is_held = running is not None and running.is_held and job_state is JobState.RUNNING
    return replace(snapshot, held="no_timeout") if is_held else snapshot


def snapshot_in_state(job: Job, job_state: JobState, state: QueueState | None, started_ms: int | None) -> JobSnapshot:
    """Return a job in a given state."""
    is_waiting = job_state in (JobState.QUEUED, JobState.RETRYING)
    queue = state.queue if state is not None else None
    max_attempts = queue.max_attempts if is_waiting and queue is not None else job.max_attempts
    started_ms = started_ms if job_state is JobState.RUNNING else None
    return JobSnapshot(job, job_state, why_held(state) if is_waiting else None, max_attempts, started_ms)


def why_held(state: QueueState | None) -> str | None:
    """Return why the jobs of a queue can't start: `queue_missing`, `paused`, `service_down`, or None."""
    if state is None or state.queue is None:
        return "queue_missing"
    if state.is_paused:
        return "paused"
    return "service_down" if state.is_service_down else None


def count_by_state(
    stored: Mapping[str, int], running: Collection[RunningAttempt], slots_taken: int, now_ms: int
) -> dict[JobState, int]:
    """Return a queue's number of jobs by state, from those on disk and its running attempts.

    An attempt may have ended on disk while it still counts as running: no job is counted twice. One that has its
    response, but isn't on disk yet, has given its slot to the next: no queue seems to exceed its concurrency.
    """
    pending = stored.get("pending", 0)
    running_count = min(slots_taken, pending)
    waiting = stored.get("waiting", 0) - sum(attempt.before.due_ms > now_ms for attempt in running)
    retrying = max(min(waiting, pending - running_count), 0)
    return {
        JobState.QUEUED: pending - running_count - retrying,
        JobState.RUNNING: running_count,
        JobState.RETRYING: retrying,
        **{job_state: stored.get(job_state, 0) for job_state in JobState if job_state.is_finished},
    }
