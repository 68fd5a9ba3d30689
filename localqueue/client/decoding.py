"""Convert responses of the API back into models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localqueue.core.models import Attempt, AttemptError, Job, JobState, Outcome, OutcomeKind, Rejection, Response
from localqueue.core.times import parse_time

Content = Mapping[str, Any]


def job(content: Content) -> Job:
    """Return a job, as far as the API describes it. Raises LookupError, TypeError, ValueError."""
    state = JobState(content["state"])
    return Job(
        seq=0,
        id=str(content["id"]),
        namespace=str(content["namespace"]),
        queue=str(content["queue"]),
        created_ms=parse_time(content["createdAt"]),
        due_ms=parse_time(content["dueAt"]),
        finished=state if state.is_finished else None,
        finished_ms=_time(content["finishedAt"]),
        round=int(content["round"]),
        attempt=int(content["attempt"]),
        max_attempts=int(content["maxAttempts"]),
        replay_of=content["replayOf"],
    )


def attempt(content: Content) -> Attempt:
    """Return an attempt. Raises LookupError, TypeError, ValueError."""
    return Attempt(
        round=int(content["round"]),
        number=int(content["number"]),
        max_attempts=int(content["maxAttempts"]),
        due_ms=parse_time(content["dueAt"]),
        started_ms=parse_time(content["startedAt"]),
        ended_ms=parse_time(content["endedAt"]),
        duration_ms=int(content["durationMs"]),
        url=str((content.get("request") or {}).get("url", "")),
        outcome=_outcome(content),
        next_due_ms=_time(content["nextDueAt"]),
        reason=str(content["reason"]),
        summary=content.get("summary"),
    )


def rejection(content: Content) -> Rejection:
    """Return the refused requests of one reason. Raises LookupError, TypeError, ValueError."""
    return Rejection(
        code=str(content["code"]),
        message=str(content["message"]),
        hint=str(content["hint"]),
        namespace=content["namespace"],
        queue=content["queue"],
        is_security=bool(content["security"]),
        count=int(content["count"]),
        first_ms=parse_time(content["firstAt"]),
        last_ms=parse_time(content["lastAt"]),
    )


def _outcome(content: Content) -> Outcome:
    error, response, status = content["error"], content.get("response"), content["status"]
    return Outcome(
        kind=OutcomeKind(content["outcome"]),
        status=None if status is None else int(status),
        error=None if error is None else AttemptError(str(error["code"]), str(error["message"])),
        response=None if response is None else _response(response),
        injected=content.get("injected"),
    )


def _response(content: Content) -> Response:
    headers = tuple((str(name), str(value)) for name, value in content["headers"].items())
    return Response(headers, str(content["body"]).encode("utf-8", "replace"), bool(content["truncated"]))


def _time(text: str | None) -> int | None:
    return None if text is None else parse_time(text)
