"""Scripted outcomes: list, add and clear them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import requests, responses, schemas
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core.errors import InvalidRequest
from localqueue.core.faults import HIGHEST_STATUS, LOWEST_STATUS, WORDS, Fault, parse_faults
from localqueue.engine.fault_injector import LIMIT


async def list_faults(context: Context, _: Request) -> Response:
    """Respond with the scripted outcomes that are left."""
    return _faults(context)


async def add_faults(context: Context, request: Request) -> Response:
    """Append scripted outcomes to those of a queue."""
    body = await requests.read_object(request, ("namespace", "queue", "outcomes"))
    if "queue" not in body:
        raise InvalidRequest('the body must be {"queue": NAME, "outcomes": [...]}')
    namespace = requests.text(body, "namespace") if "namespace" in body else None
    context.engine.add_faults(namespace, requests.text(body, "queue"), _outcomes(body))
    return _faults(context)


async def clear_faults(context: Context, request: Request) -> Response:
    """Forget scripted outcomes."""
    await requests.read_object(request, ())
    context.engine.clear_faults(request.query_params.get("namespace"), request.query_params.get("queue"))
    return _faults(context)


def _outcomes(body: Mapping[str, Any]) -> tuple[Fault, ...]:
    words = body.get("outcomes")
    if not isinstance(words, list) or not 0 < len(words) <= LIMIT:
        raise InvalidRequest(f"outcomes must be a list of 1 to {LIMIT} words, such as {list(WORDS)}")
    try:
        return parse_faults(words)
    except ValueError as error:
        raise InvalidRequest(f"outcomes: {error}") from None


def _faults(context: Context) -> Response:
    scripts = context.engine.faults.scripts
    faults = [
        {"namespace": namespace, "queue": queue, "outcomes": [str(fault) for fault in script]}
        for (namespace, queue), script in scripts.items()
    ]
    return responses.json_response({"faults": faults})


LEFT = schemas.record(
    faults=schemas.list_of(
        schemas.record(namespace=schemas.TEXT, queue=schemas.TEXT, outcomes=schemas.list_of(schemas.TEXT))
    )
)
WORD = {
    "type": "string",
    "pattern": r"^(ok|timeout|reset|refuse|lost-ack|[2-9]\d\d|slow=(\d{1,7}|[1-7]\d{7}))$",
}
STATUS = {"type": "integer", "minimum": LOWEST_STATUS, "maximum": HIGHEST_STATUS}
OUTCOME = schemas.said(
    {"anyOf": [WORD, STATUS]}, "`ok`, a status, `timeout`, `reset`, `refuse`, `slow=MS` or `lost-ack`"
)
OPERATIONS = (
    Operation("GET", "/faults", list_faults, "List the scripted outcomes that are left", LEFT),
    Operation(
        "POST",
        "/faults",
        add_faults,
        "Script the outcomes of the next attempts of a queue",
        LEFT,
        description="Each attempt that starts uses the next one. The service is called only for `slow=MS`, whose "
        "response comes later, and for `lost-ack`, whose response is lost. Kept in memory until the next reset.",
        body=schemas.options(
            "queue",
            "outcomes",
            queue=schemas.TEXT,
            namespace=schemas.said(schemas.TEXT, "needed if several services have a queue of this name"),
            outcomes={"type": "array", "items": OUTCOME, "minItems": 1, "maxItems": LIMIT},
        ),
        errors=("unknown_namespace", "unknown_queue"),
    ),
    Operation(
        "DELETE",
        "/faults",
        clear_faults,
        "Forget scripted outcomes",
        LEFT,
        description="With a namespace or a queue, only theirs.",
        parameters=(
            Parameter("namespace", "only those in this namespace", schemas.TEXT),
            Parameter("queue", "only those of this queue", schemas.TEXT),
        ),
        body=schemas.NOTHING,
        errors=("unknown_namespace", "unknown_queue"),
    ),
)
