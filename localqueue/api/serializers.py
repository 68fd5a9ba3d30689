"""Turn what the engine returns into JSON: keys in camelCase, times in ISO 8601, durations in ms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

from localqueue.core.errors import LocalqueueError
from localqueue.core.events import AttemptEnded
from localqueue.core.models import Attempt, Finding, JobPreview, Queue
from localqueue.core.models import Response as WorkerResponse
from localqueue.core.times import iso
from localqueue.engine.snapshots import JobSnapshot, QueueSnapshot

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(content: object) -> bytes:
    """Return JSON as it is sent: compact, in UTF-8, on one line."""
    return _ENCODER.encode(content).encode("utf-8", "replace")


def json_response(content: object, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return json_bytes(encode(content), status)


def json_bytes(body: bytes, status: int = 200) -> Response:
    """Return bytes that are JSON already."""
    return Response(body, status, media_type="application/json")


def error(found: LocalqueueError) -> Response:
    """Return the one error shape: {"error": {code, message, hint}}."""
    body = {"error": {"code": found.code, "message": found.message, "hint": found.hint}}
    response = json_response(body, found.status)
    if found.status == 503:
        response.headers["Retry-After"] = "1"
    return response


def finding(found: Finding) -> dict[str, Any]:
    """Return what is wrong in a catalog, and where."""
    return {
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "code": found.code,
        "message": found.message,
    }


def queue_settings(queue: Queue) -> dict[str, Any]:
    """Return what the catalog declares, under the catalog's names."""
    return {
        "endpoint": queue.endpoint,
        "concurrency": queue.concurrency,
        "retries": queue.retries,
        "retryDelayMs": queue.retry_delay_ms,
        "timeoutMs": queue.timeout_ms,
    }


def queue(status: QueueSnapshot, target: str | None) -> dict[str, Any]:
    """Return a queue with its settings and its numbers by state."""
    namespace, name = status.key
    return {
        "namespace": namespace,
        "name": name,
        "target": target,
        "held": status.held,
        **(queue_settings(status.queue) if status.queue is not None else {}),
        "enqueued": status.enqueued,
        "inFlight": status.in_flight,
        "counts": {state.value: count for state, count in status.counts.items()},
    }


def queues(found: Iterable[QueueSnapshot], targets: Mapping[str, str]) -> dict[str, Any]:
    """Return every queue."""
    return {"queues": [queue(each, targets.get(each.key[0])) for each in found]}


def job(view: JobSnapshot) -> dict[str, Any]:
    """Return a job without data and attempts."""
    found = view.job
    return {
        "id": found.id,
        "shortId": found.short_id,
        "seq": found.seq,
        "namespace": found.namespace,
        "queue": found.queue,
        "state": view.state.value,
        "held": view.held,
        "round": found.round,
        "attempt": found.attempt,
        "maxAttempts": view.max_attempts,
        "createdAt": iso(found.created_ms),
        "dueAt": iso(found.due_ms),
        "startedAt": _time(view.started_ms),
        "finishedAt": _time(found.finished_ms),
        "replayOf": found.replay_of,
    }


def listed_job(view: JobSnapshot, glimpse: JobPreview | None) -> dict[str, Any]:
    """Return a job for a list: with the beginning of its payload, and how its latest attempt ended."""
    found = glimpse or JobPreview(None)
    last = {"outcome": found.outcome, "status": found.status, "code": found.error_code}
    return {**job(view), "preview": found.preview, "last": None if found.outcome is None else last}


def job_with_attempts(view: JobSnapshot, attempts: list[Attempt], data: bytes) -> bytes:
    """Return a job with its attempts and its data, the data as it was sent."""
    shown = {**job(view), "attempts": [attempt(each) for each in attempts]}
    return encode(shown)[:-1] + b',"data":' + data + b"}"


def attempt(found: Attempt) -> dict[str, Any]:
    """Return an attempt with its request and its response."""
    response = found.outcome.response
    return {
        **bare_attempt(found),
        "request": {"url": found.url, "headers": {"content-type": "application/json"}},
        "response": None if response is None else _response(response),
    }


def bare_attempt(found: Attempt) -> dict[str, Any]:
    """Return an attempt without request and response."""
    outcome = found.outcome
    failure = outcome.error
    return {
        "round": found.round,
        "number": found.number,
        "maxAttempts": found.max_attempts,
        "dueAt": iso(found.due_ms),
        "startedAt": iso(found.started_ms),
        "endedAt": iso(found.ended_ms),
        "durationMs": found.duration_ms,
        "outcome": outcome.kind.value,
        "status": outcome.status,
        "error": None if failure is None else {"code": failure.code, "message": failure.message},
        "nextDueAt": _time(found.next_due_ms),
        "reason": found.reason,
    }


def ended_attempt(event: AttemptEnded) -> dict[str, Any]:
    """Return an attempt as `advance` and `drain` list it."""
    job, found = event.job, event.attempt
    return {
        "jobId": job.id,
        "namespace": job.namespace,
        "queue": job.queue,
        "round": found.round,
        "number": found.number,
        "maxAttempts": found.max_attempts,
        "startedAt": iso(found.started_ms),
        "outcome": found.outcome.kind.value,
        "status": found.outcome.status,
        "nextDueAt": _time(found.next_due_ms),
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


def _response(found: WorkerResponse) -> dict[str, Any]:
    headers = dict(found.headers)
    encoding = headers.get("content-encoding", "identity")
    body = found.body.decode("utf-8", "replace")
    if encoding != "identity":
        body = f"({len(found.body)} bytes encoded as {encoding}, not shown)"
    return {"headers": headers, "body": body, "truncated": found.truncated}
