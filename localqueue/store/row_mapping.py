"""Convert between rows and the dataclasses of `models`."""

from __future__ import annotations

import functools
import json
from typing import Any

from localqueue.core.models import (
    Attempt,
    AttemptError,
    Job,
    JobPreview,
    JobState,
    LedgerEntry,
    Outcome,
    OutcomeKind,
    Response,
)

JOB_COLUMNS = (
    "seq, id, namespace, queue, created_ms, due_ms, finished, finished_ms, "
    "round, attempt, failures, max_attempts, replay_of, data_size, number"
)
ATTEMPT_COLUMNS = (
    "round, number, max_attempts, due_ms, started_ms, ended_ms, duration_ms, url, outcome, status, "
    "error_code, error_message, response_headers, response_body, truncated, next_due_ms, reason, injected, summary"
)


def job_row(job: Job) -> tuple[Any, ...]:
    """Return the job as a row of JOB_COLUMNS."""
    return (
        job.seq, job.id, job.namespace, job.queue, job.created_ms, job.due_ms, job.finished,
        job.finished_ms, job.round, job.attempt, job.failures, job.max_attempts, job.replay_of,
        job.data_size, job.number,
    )  # fmt: skip


def to_job(row: Any) -> Job:
    """Return a row of JOB_COLUMNS as a job."""
    seq, id_, namespace, queue, created, due, finished, finished_ms, *rest = row
    state = None if finished is None else JobState(finished)
    return Job(seq, id_, namespace, queue, created, due, state, finished_ms, *rest)


def to_preview(row: Any) -> JobPreview:
    """Return seq, beginning of the payload, outcome, status, error code and summary as a preview."""
    _, data, outcome, status, code, summary = row
    preview = None if data is None else bytes(data).decode("utf-8", "ignore")  # it may end inside a character
    return JobPreview(preview, None if outcome is None else OutcomeKind(outcome), status, code, summary)


def to_entry(row: Any) -> LedgerEntry:
    """Return a row of JOB_COLUMNS and ATTEMPT_COLUMNS as an entry of the ledger."""
    width = JOB_COLUMNS.count(",") + 1
    return LedgerEntry(to_job(row[:width]), to_attempt(row[width:]))


def attempt_row(attempt: Attempt) -> tuple[Any, ...]:
    """Return the attempt as a row of ATTEMPT_COLUMNS."""
    outcome = attempt.outcome
    error, response = outcome.error, outcome.response
    return (
        attempt.round, attempt.number, attempt.max_attempts, attempt.due_ms, attempt.started_ms,
        attempt.ended_ms, attempt.duration_ms, attempt.url, outcome.kind, outcome.status,
        error and error.code, error and error.message,
        None if response is None else _headers_text(response.headers),
        None if response is None else response.body,
        None if response is None else response.truncated,
        attempt.next_due_ms, attempt.reason, outcome.injected, attempt.summary,
    )  # fmt: skip


@functools.lru_cache(maxsize=256)
def _headers_text(headers: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(headers)  # a service usually sends the same headers


def to_attempt(row: Any) -> Attempt:
    """Return a row of ATTEMPT_COLUMNS as an attempt."""
    kind, status, code, message, headers, body, truncated = row[8:15]
    outcome = Outcome(
        kind=OutcomeKind(kind),
        status=status,
        error=None if code is None else AttemptError(code, message),
        response=None if headers is None else _to_response(headers, body, truncated),
        injected=row[17],
    )
    round_, number, maximum, due, started, ended, duration, url = row[:8]
    next_due, reason = row[15:17]
    return Attempt(round_, number, maximum, due, started, ended, duration, url, outcome, next_due, reason, row[18])


def _to_response(headers: str, body: bytes, truncated: int) -> Response:
    return Response(_header_pairs(headers), body, bool(truncated))


@functools.lru_cache(maxsize=256)
def _header_pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))
