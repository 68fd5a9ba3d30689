"""Read the filter that selects jobs: the query of a list, or the body of a change of many jobs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.requests import Request

from localqueue.api import requests, schemas
from localqueue.api.requests import Parameter
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import JobFilter, JobState
from localqueue.core.text import safe
from localqueue.core.times import parse_time

LARGEST_STATUS = 999
_PART_OF_ID = re.compile(r"^[0-9a-f-]{1,36}$")
_TEXTS = ("namespace", "queue", "state", "id", "q", "since", "until")
NAMES = (*_TEXTS, "status")
"""The parameters of a query, or the keys of a body, that are a filter."""
STATUS_OR_NULL: schemas.Schema = {"type": ["integer", "null"], "minimum": 100, "maximum": LARGEST_STATUS}
_SCHEMAS: dict[str, schemas.Schema] = {
    "namespace": schemas.said(schemas.TEXT, "only jobs in this namespace"),
    "queue": schemas.said(schemas.TEXT, "only jobs in this queue"),
    "state": schemas.said(schemas.STATE, "only jobs in this state"),
    "q": schemas.said(schemas.TEXT, "only jobs with this text in the ID, the payload or a response"),
    "status": schemas.said(
        schemas.POSITIVE | {"maximum": LARGEST_STATUS}, "only jobs whose latest attempt got this status"
    ),
    "since": schemas.said(schemas.INSTANT, "only jobs enqueued at this time or later, ISO 8601"),
    "until": schemas.said(schemas.INSTANT, "only jobs enqueued before this time"),
    "id": schemas.said(
        {"type": "string", "pattern": _PART_OF_ID.pattern}, "only jobs whose ID or short ID starts with this"
    ),
}


def parameters(**changed: Parameter) -> tuple[Parameter, ...]:
    """Return the parameters of a filter, some of them changed."""
    return tuple(changed.get(name) or _parameter(name) for name in _SCHEMAS)


def _parameter(name: str) -> Parameter:
    schema = {**_SCHEMAS[name]}
    return Parameter(name, schema.pop("description"), schema)


def keys(states: Collection[JobState], default: str, **more: schemas.Schema) -> schemas.Schema:
    """Return the schema of a body that is a filter of jobs in these states."""
    state = schemas.said({"enum": [state.value for state in states]}, f"only jobs in this state; {default} if absent")
    status = schemas.said(STATUS_OR_NULL, "only after this status; null: after any")
    return schemas.options(**_SCHEMAS | {"state": state, "status": status} | more)


def state_of(request: Request) -> JobState | None:
    """Return the state that a query asks for. Raises InvalidRequest."""
    state = requests.one_of(request, "state", tuple(JobState))
    return None if state is None else JobState(state)


def from_query(request: Request, state: JobState | None) -> JobFilter:
    """Return the filter of a query. Raises InvalidRequest."""
    texts = {name: request.query_params.get(name) for name in _TEXTS}
    return _filter(texts, state, requests.whole_number(request, "status", LARGEST_STATUS))


def from_body(content: Mapping[str, Any], states: Collection[JobState]) -> JobFilter:
    """Return the filter of a body, for jobs in one of these states. Raises InvalidRequest."""
    texts = {name: requests.text(content, name) for name in _TEXTS if name in content}
    if "state" in texts and texts["state"] not in states:
        raise InvalidRequest(f"state must be one of {', '.join(states)}, not {safe(texts['state'])!r}")
    state = JobState(texts["state"]) if "state" in texts else None
    has_status = content.get("status") is not None
    return _filter(texts, state, requests.integer(content, "status", 100, LARGEST_STATUS) if has_status else None)


def _filter(texts: Mapping[str, str | None], state: JobState | None, status: int | None) -> JobFilter:
    return JobFilter(
        namespace=texts.get("namespace"),
        queue=texts.get("queue"),
        state=state,
        id=_part_of_id(texts.get("id")),
        text=texts.get("q") or None,
        status=status,
        since_ms=_time(texts, "since"),
        until_ms=_time(texts, "until"),
    )


def _time(texts: Mapping[str, str | None], name: str) -> int | None:
    text = texts.get(name)
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}") from None


def _part_of_id(text: str | None) -> str | None:
    if text is None or _PART_OF_ID.fullmatch(text.lower()):
        return None if text is None else text.lower()
    raise InvalidRequest(f"id must be the beginning of an ID or of a short ID, not {safe(text)!r}")
