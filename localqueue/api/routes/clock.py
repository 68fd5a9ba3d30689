"""Serve the clock: move time, drain, reset, and the ledger of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from localqueue.api import requests, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core import ledger
from localqueue.core.errors import InvalidRequest
from localqueue.core.text import safe
from localqueue.core.times import DAY_MS, LATEST_MS, iso, parse_time
from localqueue.engine.engine import Engine
from localqueue.engine.timeline import EndedAttempts

DRAIN_TIMEOUT_MS = 30_000


async def clock(context: Context, _: Request) -> Response:
    """Answer with what time it is."""
    return serializers.json_response(_clock(context.engine))


async def advance(context: Context, request: Request) -> Response:
    """Move time, and make what is due by then."""
    given = await requests.read_object(request, ("ms", "to", "settleMs"))
    return serializers.json_response(_made(context.engine, await _advance(context.engine, given)))


async def drain(context: Context, request: Request) -> Response:
    """Go on until nothing is left to do."""
    given = await requests.read_object(request, ("timeoutMs", "settleMs"))
    timeout_ms = _whole(given, "timeoutMs", DAY_MS, DRAIN_TIMEOUT_MS)
    found = await context.engine.drain(timeout_ms, _whole(given, "settleMs", DAY_MS, 0))
    return serializers.json_response({"idle": found.is_idle, **_made(context.engine, found.attempts)})


async def reset(context: Context, request: Request) -> Response:
    """Restore the state after the start."""
    await requests.read_object(request, ())
    await context.engine.reset()
    return serializers.json_response(_clock(context.engine))


async def show_ledger(context: Context, request: Request) -> Response:
    """Answer with a line for each attempt."""
    is_json = requests.one_of(request, "format", ("text", "jsonl")) == "jsonl"
    write = ledger.as_json_lines if is_json else ledger.as_text
    text = write(await context.engine.ledger(), context.engine.start_ms)
    return PlainTextResponse(text, media_type="application/x-ndjson" if is_json else "text/plain")


def _clock(engine: Engine) -> dict[str, Any]:
    found = engine.clock
    return {"mode": found.mode, "now": iso(found.now_ms), "offsetMs": found.offset_ms}


def _made(engine: Engine, made: EndedAttempts) -> dict[str, Any]:
    return {"now": iso(engine.now()), "attempts": [serializers.ended_attempt(each) for each in made]}


async def _advance(engine: Engine, given: Mapping[str, Any]) -> EndedAttempts:
    settle_ms = _whole(given, "settleMs", DAY_MS, 0)
    if ("ms" in given) == ("to" in given):
        raise InvalidRequest('expected either {"ms": a number} or {"to": a time or "next"}')
    if "ms" in given:
        return await engine.advance(_whole(given, "ms", LATEST_MS - engine.now(), 0), settle_ms)
    if given["to"] == "next":
        return await engine.advance_to_next(settle_ms)
    try:
        to_ms = parse_time(str(given["to"]))
    except ValueError as error:
        raise InvalidRequest(f"to: {error}, or next") from None
    if to_ms < engine.now():
        raise InvalidRequest(f"expected to to be {iso(engine.now())} or later: time does not go back")
    return await engine.advance_to(to_ms, settle_ms)


def _whole(given: Mapping[str, Any], name: str, largest: int, default: int) -> int:
    value = given.get(name, default)
    if type(value) is int and 0 <= value <= largest:
        return value
    raise InvalidRequest(f"expected {name} to be a whole number from 0 to {largest}, got {safe(str(value), 60)}")


MADE = schemas.said(schemas.list_of(schemas.ref("MadeAttempt")), "the attempts that were made, in starting order")
SETTLE = schemas.said(schemas.DURATION, "how long to wait, in real time, for a new job before it is done; 0 if absent")
OPERATIONS = (
    Operation("GET", "/clock", clock, "Tell what time it is", schemas.ref("Clock")),
    Operation(
        "POST",
        "/clock/advance",
        advance,
        "Move time, and make what is due by then",
        schemas.record(now=schemas.TIME, attempts=MADE),
        description="Either by `ms`, or `to` an instant; `next` is the one at which something is due. The answer comes "
        "when the attempts have ended.",
        body=schemas.options(
            ms=schemas.COUNT,
            to=schemas.said(schemas.TEXT, "an ISO 8601 time, or `next`"),
            settleMs=SETTLE,
        ),
        errors=("storage_unavailable",),
    ),
    Operation(
        "POST",
        "/drain",
        drain,
        "Go on until nothing is queued, running or retrying",
        schemas.record(
            idle=schemas.said(schemas.FLAG, "false: `timeoutMs` was over before"), now=schemas.TIME, attempts=MADE
        ),
        description="Jobs that are held don't count. On the wall clock it waits; on the virtual one it moves time.",
        body=schemas.options(
            timeoutMs=schemas.said(schemas.DURATION, f"of real time; {DRAIN_TIMEOUT_MS} if absent"), settleMs=SETTLE
        ),
        errors=("storage_unavailable",),
    ),
    Operation(
        "POST",
        "/reset",
        reset,
        "Restore the state after the start",
        schemas.ref("Clock"),
        description="Jobs, attempts, ledger, counters, pauses, changed queues and targets, and time. "
        "What is under way is cut off.",
        body=schemas.NOTHING,
        errors=("storage_unavailable",),
    ),
    Operation(
        "GET",
        "/ledger",
        show_ledger,
        "List every attempt since the last reset, a line each",
        schemas.TEXT,
        parameters=(
            Parameter("format", "`jsonl` for an object a line; `text` if absent", {"enum": ["text", "jsonl"]}),
        ),
        errors=("storage_unavailable",),
        media_type="text/plain",
    ),
)
