"""Read what a server answers back into the models, so that the wording exists once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localqueue.core.models import Attempt, AttemptError, Job, JobState, Outcome, OutcomeKind, Response
from localqueue.core.times import parse_time

Found = Mapping[str, Any]


def job(found: Found) -> Job:
    """Return a job without what the API does not tell of it. Raises LookupError, TypeError, ValueError."""
    state = JobState(found["state"])
    return Job(
        seq=0,
        id=str(found["id"]),
        namespace=str(found["namespace"]),
        queue=str(found["queue"]),
        created_ms=parse_time(found["createdAt"]),
        due_ms=parse_time(found["dueAt"]),
        finished=state if state.is_finished else None,
        finished_ms=_time(found["finishedAt"]),
        round=int(found["round"]),
        attempt=int(found["attempt"]),
        max_attempts=int(found["maxAttempts"]),
        replay_of=found["replayOf"],
    )


def attempt(found: Found) -> Attempt:
    """Return an attempt. Raises LookupError, TypeError, ValueError."""
    return Attempt(
        round=int(found["round"]),
        number=int(found["number"]),
        max_attempts=int(found["maxAttempts"]),
        due_ms=parse_time(found["dueAt"]),
        started_ms=parse_time(found["startedAt"]),
        ended_ms=parse_time(found["endedAt"]),
        duration_ms=int(found["durationMs"]),
        url=str((found.get("request") or {}).get("url", "")),
        outcome=_outcome(found),
        next_due_ms=_time(found["nextDueAt"]),
        reason=str(found["reason"]),
    )


def _outcome(found: Found) -> Outcome:
    error, response, status = found["error"], found.get("response"), found["status"]
    return Outcome(
        kind=OutcomeKind(found["outcome"]),
        status=None if status is None else int(status),
        error=None if error is None else AttemptError(str(error["code"]), str(error["message"])),
        response=None if response is None else _response(response),
    )


def _response(found: Found) -> Response:
    headers = tuple((str(name), str(value)) for name, value in found["headers"].items())
    return Response(headers, str(found["body"]).encode("utf-8", "replace"), bool(found["truncated"]))


def _time(found: str | None) -> int | None:
    return None if found is None else parse_time(found)
