"""Convert models to JSON: keys in camelCase, times in ISO 8601, durations in ms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localqueue.api import responses
from localqueue.api.recent_attempts import RecentAttempts
from localqueue.core import explanations, summaries
from localqueue.core.events import AttemptEnded
from localqueue.core.explanations import Explanation, explain_firing
from localqueue.core.models import (
    Attempt,
    FailureGroup,
    Finding,
    Firing,
    JobPreview,
    Outcome,
    Queue,
    Rejection,
    Schedule,
)
from localqueue.core.models import Response as WorkerResponse
from localqueue.core.times import iso
from localqueue.engine.ignored_keys import IgnoredKeys
from localqueue.engine.job_actions import DetailedPage, JobDetails
from localqueue.engine.schedules import ScheduleSnapshot
from localqueue.engine.second_delivery import SecondDelivery
from localqueue.engine.snapshots import JobSnapshot, QueueSnapshot


def finding(problem: Finding) -> dict[str, Any]:
    """Return a problem in a catalog and its position."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
    }


def rejection(refused: Rejection) -> dict[str, Any]:
    """Return the refused requests of one reason."""
    return {
        "code": refused.code,
        "message": refused.message,
        "hint": refused.hint,
        "namespace": refused.namespace,
        "queue": refused.queue,
        "security": refused.is_security,
        "count": refused.count,
        "firstAt": iso(refused.first_ms),
        "lastAt": iso(refused.last_ms),
    }


def queue_settings(queue: Queue) -> dict[str, Any]:
    """Return the settings of a queue, under the catalog's names."""
    return {
        "endpoint": queue.endpoint,
        "concurrency": queue.concurrency,
        "retries": queue.retries,
        "retryDelayMs": queue.retry_delay_ms,
        "timeoutMs": queue.timeout_ms,
    }


def queue(snapshot: QueueSnapshot, target: str | None) -> dict[str, Any]:
    """Return a queue with its settings and its number of jobs by state."""
    namespace, name = snapshot.key
    return {
        "namespace": namespace,
        "name": name,
        "target": target,
        "held": snapshot.held,
        **(queue_settings(snapshot.queue) if snapshot.queue is not None else {}),
        "changed": snapshot.changed,
        "enqueued": snapshot.enqueued,
        "inFlight": snapshot.in_flight,
        "counts": {state.value: count for state, count in snapshot.counts.items()},
    }


def queues(snapshots: Iterable[QueueSnapshot], targets: Mapping[str, str]) -> dict[str, Any]:
    """Return every queue."""
    return {"queues": [queue(snapshot, targets.get(snapshot.key[0])) for snapshot in snapshots]}


def recent_attempts(recent: RecentAttempts) -> dict[str, Any]:
    """Return the attempts of the last minute, and how long the latest ones took."""
    return {
        "completed": recent.completed,
        "failed": recent.failed,
        "durations": {
            "count": len(recent.durations_ms),
            "p50Ms": recent.percentile(0.5),
            "p95Ms": recent.percentile(0.95),
        },
    }


def job(snapshot: JobSnapshot) -> dict[str, Any]:
    """Return a job without data and attempts."""
    job = snapshot.job
    return {
        "id": job.id,
        "shortId": job.short_id,
        "seq": job.seq,
        "namespace": job.namespace,
        "queue": job.queue,
        "state": snapshot.state.value,
        "held": snapshot.held,
        "round": job.round,
        "attempt": job.attempt,
        "maxAttempts": snapshot.max_attempts,
        "createdAt": iso(job.created_ms),
        "dueAt": iso(job.due_ms),
        "startedAt": _time(snapshot.started_ms),
        "finishedAt": _time(job.finished_ms),
        "replayOf": job.replay_of,
    }


def listed_job(snapshot: JobSnapshot, preview: JobPreview | None) -> dict[str, Any]:
    """Return a job for a list, with the beginning of its payload and the end of its latest attempt."""
    preview = preview or JobPreview(None)
    last = {"outcome": preview.outcome, "status": preview.status, "code": preview.error_code}
    shown = {"preview": preview.preview, "last": None if preview.outcome is None else last, "summary": preview.summary}
    return {**job(snapshot), **shown}


def unfinished_job(snapshot: JobSnapshot) -> dict[str, Any]:
    """Return a job that `drain` or `advance` left unfinished."""
    job = snapshot.job
    return {
        "jobId": job.id,
        "namespace": job.namespace,
        "queue": job.queue,
        "state": snapshot.state.value,
        "held": snapshot.held,
        "attempt": job.attempt,
        "maxAttempts": snapshot.max_attempts,
        "dueAt": iso(job.due_ms),
    }


async def job_details(details: JobDetails, ignored: IgnoredKeys) -> bytes:
    """Return a job with its attempts, and its data exactly as it was sent."""
    shown, attempts = job(details.snapshot), b""
    if details.attempts is not None:
        shown["ignoredKeys"] = list(ignored.of(details.snapshot.job))
        explained = (_explained(details, ended) for ended in details.attempts)
        attempts = b',"attempts":' + await responses.encode_list(explained, size=1)  # each has up to 64 KiB
    return b'%b%b,"data":%b}' % (responses.encode(shown)[:-1], attempts, details.data)


async def detailed_page(page: DetailedPage, ignored: IgnoredKeys) -> bytes:
    """Return a page of jobs with their attempts and data."""
    jobs = b",".join([await job_details(details, ignored) for details in page.jobs])
    following = responses.encode(None if page.next is None else str(page.next))
    return b'{"jobs":[%b],"next":%b,"searched":%b}' % (jobs, following, responses.encode(page.searched))


def _explained(details: JobDetails, ended: Attempt) -> dict[str, Any]:
    queue = details.queue
    return attempt(ended, None if queue is None else explanations.explain(details.snapshot.job, queue, ended))


def attempt(ended: Attempt, explained: Explanation | None) -> dict[str, Any]:
    """Return an attempt with its request, its response, and what its end means."""
    response = ended.outcome.response
    return {
        **bare_attempt(ended),
        "request": {"url": ended.url, "headers": {"content-type": "application/json"}},
        "response": None if response is None else _response(response),
        "explanation": None if explained is None else explanation(explained),
    }


def explanation(explained: Explanation) -> dict[str, str]:
    """Return what the end of an attempt means."""
    return {"condition": explained.condition, "text": explained.text, "command": explained.command}


def schedule(snapshot: ScheduleSnapshot) -> dict[str, Any]:
    """Return a schedule with its next and its latest firing."""
    return {
        "namespace": snapshot.schedule.namespace,
        **schedule_settings(snapshot.schedule),
        "target": snapshot.target,
        "nextAt": _time(snapshot.next_ms),
        "last": None if snapshot.last is None else firing(snapshot.last),
    }


def failure(group: FailureGroup) -> dict[str, Any]:
    """Return the failed jobs of one cause."""
    namespace, queue = group.key
    return {
        "namespace": namespace,
        "queue": queue,
        "status": group.status,
        "summary": group.summary,
        "cause": summaries.group_key(group.summary),
        "pattern": group.pattern,
        "count": group.count,
        "firstAt": iso(group.first_ms),
        "lastAt": iso(group.last_ms),
        "jobs": list(group.ids),
    }


def schedule_settings(declared: Schedule) -> dict[str, Any]:
    """Return a schedule as a catalog declares it."""
    return {
        "name": declared.name,
        "cron": declared.cron,
        "timezone": declared.timezone,
        "endpoint": declared.endpoint,
        "timeoutMs": declared.timeout_ms,
        "description": declared.description,
    }


def firing(fired: Firing) -> dict[str, Any]:
    """Return a firing of a schedule and how it ended."""
    explained = explain_firing(fired)
    return {
        "namespace": fired.schedule.namespace,
        "name": fired.schedule.name,
        "firedAt": iso(fired.fired_ms),
        "durationMs": fired.duration_ms,
        "url": fired.url,
        **_ending(fired.outcome),
        "explanation": None if explained is None else explanation(explained),
    }


def second_delivery(delivery: SecondDelivery) -> dict[str, Any]:
    """Return both deliveries of a job, and the jobs that were enqueued during the second one."""
    return {
        "job": job(delivery.job),
        "attempt": delivery.number,
        "first": _ending(delivery.first),
        "second": _ending(delivery.second),
        "differences": delivery.differences,
        "enqueued": [job(snapshot) for snapshot in delivery.enqueued],
        "enqueuedCount": delivery.enqueued_count,
    }


def _ending(outcome: Outcome) -> dict[str, Any]:
    response = outcome.response
    return {
        "outcome": outcome.kind.value,
        "status": outcome.status,
        "error": _error(outcome),
        "response": None if response is None else _response(response),
    }


def bare_attempt(ended: Attempt) -> dict[str, Any]:
    """Return an attempt without request and response."""
    outcome = ended.outcome
    return {
        "round": ended.round,
        "number": ended.number,
        "maxAttempts": ended.max_attempts,
        "dueAt": iso(ended.due_ms),
        "startedAt": iso(ended.started_ms),
        "endedAt": iso(ended.ended_ms),
        "durationMs": ended.duration_ms,
        "outcome": outcome.kind.value,
        "status": outcome.status,
        "error": _error(outcome),
        "injected": outcome.injected,
        "summary": ended.summary,
        "nextDueAt": _time(ended.next_due_ms),
        "reason": ended.reason,
    }


def ended_attempt(event: AttemptEnded) -> dict[str, Any]:
    """Return an attempt as `advance` and `drain` return it."""
    job, ended = event.job, event.attempt
    return {
        "jobId": job.id,
        "namespace": job.namespace,
        "queue": job.queue,
        "round": ended.round,
        "number": ended.number,
        "maxAttempts": ended.max_attempts,
        "startedAt": iso(ended.started_ms),
        "outcome": ended.outcome.kind.value,
        "status": ended.outcome.status,
        "error": _error(ended.outcome),
        "nextDueAt": _time(ended.next_due_ms),
    }


def ended_firing(fired: Firing) -> dict[str, Any]:
    """Return a firing of a schedule as `advance` and `drain` return it."""
    return {
        "namespace": fired.schedule.namespace,
        "name": fired.schedule.name,
        "firedAt": iso(fired.fired_ms),
        "outcome": fired.outcome.kind.value,
        "status": fired.outcome.status,
        "error": _error(fired.outcome),
    }


def _error(outcome: Outcome) -> dict[str, str] | None:
    return None if outcome.error is None else {"code": outcome.error.code, "message": outcome.error.message}


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


def _response(response: WorkerResponse) -> dict[str, Any]:
    headers = dict(response.headers)
    encoding = headers.get("content-encoding", "identity")
    body = response.body.decode("utf-8", "replace")
    if encoding != "identity":
        body = f"({len(response.body)} bytes encoded as {encoding}, not shown)"
    return {"headers": headers, "body": body, "truncated": response.truncated}
