"""Jobs and attempts as objects for tests: names in snake_case, times as aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from localqueue.core.explanations import Explanation

JobState = Literal["queued", "running", "retrying", "completed", "failed", "cancelled"]
Outcome = Literal["completed", "http_error", "timeout", "connection_error", "interrupted", "cancelled"]


@dataclass(frozen=True, slots=True)
class Response:
    """The response of the service."""

    headers: Mapping[str, str]
    body: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why an attempt failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a job; `url` is where it was delivered."""

    round: int
    number: int
    max_attempts: int
    due_at: datetime
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    outcome: Outcome
    status: int | None
    error: Failure | None
    injected: str | None
    summary: str | None
    response: Response | None
    next_due_at: datetime | None
    reason: str
    url: str
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read."""

    id: str
    short_id: str
    namespace: str
    queue: str
    state: JobState
    held: Literal["paused", "queue_missing", "service_down", "no_timeout"] | None
    round: int
    attempt: int
    max_attempts: int
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    replay_of: str | None
    data: Any = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt as `advance` and `drain` return it."""

    job_id: str
    namespace: str
    queue: str
    round: int
    number: int
    max_attempts: int
    started_at: datetime
    outcome: Outcome
    status: int | None
    error: Failure | None
    next_due_at: datetime | None


def job(content: Mapping[str, Any]) -> Job:
    """Return a job from the control API."""
    return Job(
        id=content["id"],
        short_id=content["shortId"],
        namespace=content["namespace"],
        queue=content["queue"],
        state=content["state"],
        held=content["held"],
        round=content["round"],
        attempt=content["attempt"],
        max_attempts=content["maxAttempts"],
        created_at=_time(content["createdAt"]),
        due_at=_time(content["dueAt"]),
        finished_at=_time_or_none(content["finishedAt"]),
        replay_of=content["replayOf"],
        data=content.get("data"),
        attempts=tuple(_attempt(attempt) for attempt in content.get("attempts", ())),
    )


def ended_attempt(content: Mapping[str, Any]) -> EndedAttempt:
    """Return an attempt from the result of `advance` or `drain`."""
    error = content["error"]
    return EndedAttempt(
        job_id=content["jobId"],
        namespace=content["namespace"],
        queue=content["queue"],
        round=content["round"],
        number=content["number"],
        max_attempts=content["maxAttempts"],
        started_at=_time(content["startedAt"]),
        outcome=content["outcome"],
        status=content["status"],
        error=None if error is None else Failure(**error),
        next_due_at=_time_or_none(content["nextDueAt"]),
    )


def _attempt(content: Mapping[str, Any]) -> Attempt:
    error, response, explanation = content["error"], content["response"], content["explanation"]
    return Attempt(
        round=content["round"],
        number=content["number"],
        max_attempts=content["maxAttempts"],
        due_at=_time(content["dueAt"]),
        started_at=_time(content["startedAt"]),
        ended_at=_time(content["endedAt"]),
        duration_ms=content["durationMs"],
        outcome=content["outcome"],
        status=content["status"],
        error=None if error is None else Failure(**error),
        injected=content["injected"],
        summary=content["summary"],
        response=None if response is None else Response(**response),
        explanation=None if explanation is None else Explanation(**explanation),
        next_due_at=_time_or_none(content["nextDueAt"]),
        reason=content["reason"],
        url=content["request"]["url"],
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
