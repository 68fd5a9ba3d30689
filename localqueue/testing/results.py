"""Give jobs and attempts to tests as objects: names in snake_case, times as aware datetimes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """Hold what the service answered."""

    headers: Mapping[str, str]
    body: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Say why an attempt failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold one attempt of a job."""

    round: int
    number: int
    max_attempts: int
    due_at: datetime
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: Failure | None
    response: Response | None
    next_due_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Job:
    """Hold a job as it was when it was asked for."""

    id: str
    short_id: str
    namespace: str
    queue: str
    state: str
    held: str | None
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
class MadeAttempt:
    """Hold an attempt as `advance` and `drain` list it."""

    job_id: str
    namespace: str
    queue: str
    round: int
    number: int
    max_attempts: int
    started_at: datetime
    outcome: str
    status: int | None
    next_due_at: datetime | None


def job(found: Mapping[str, Any]) -> Job:
    """Return a job of the control API."""
    return Job(
        id=found["id"],
        short_id=found["shortId"],
        namespace=found["namespace"],
        queue=found["queue"],
        state=found["state"],
        held=found["held"],
        round=found["round"],
        attempt=found["attempt"],
        max_attempts=found["maxAttempts"],
        created_at=_time(found["createdAt"]),
        due_at=_time(found["dueAt"]),
        finished_at=_time_or_none(found["finishedAt"]),
        replay_of=found["replayOf"],
        data=found.get("data"),
        attempts=tuple(_attempt(each) for each in found.get("attempts", ())),
    )


def made(found: Mapping[str, Any]) -> MadeAttempt:
    """Return an attempt that `advance` or `drain` made."""
    return MadeAttempt(
        job_id=found["jobId"],
        namespace=found["namespace"],
        queue=found["queue"],
        round=found["round"],
        number=found["number"],
        max_attempts=found["maxAttempts"],
        started_at=_time(found["startedAt"]),
        outcome=found["outcome"],
        status=found["status"],
        next_due_at=_time_or_none(found["nextDueAt"]),
    )


def shown(found: Job) -> str:
    """Return a job as a line for a failure message."""
    return f"{found.queue} {found.short_id} {found.state} {json.dumps(found.data)}"


def _attempt(found: Mapping[str, Any]) -> Attempt:
    error, response = found["error"], found["response"]
    return Attempt(
        round=found["round"],
        number=found["number"],
        max_attempts=found["maxAttempts"],
        due_at=_time(found["dueAt"]),
        started_at=_time(found["startedAt"]),
        ended_at=_time(found["endedAt"]),
        duration_ms=found["durationMs"],
        outcome=found["outcome"],
        status=found["status"],
        error=None if error is None else Failure(**error),
        response=None if response is None else Response(**response),
        next_due_at=_time_or_none(found["nextDueAt"]),
        reason=found["reason"],
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
