"""The clock, `advance`, `drain`, `reset`, and the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, overload

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from localqueue.api import requests, responses, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core import ledger
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import JobState
from localqueue.core.times import DAY_MS, LATEST_MS, iso, parse_time
from localqueue.engine.engine import Engine
from localqueue.engine.timeline import PlayResult

DRAIN_TIMEOUT_MS = 30_000
SHOWN_UNFINISHED = 100
"""How many unfinished jobs a response lists."""


async def get_clock(context: Context, _: Request) -> Response:
    """Respond with the clock."""
    return responses.json_response(_clock(context.engine))


async def advance(context: Context, request: Request) -> Response:
    """Advance the clock and run everything due by then."""
    move = await requests.read_object(request, ("ms", "to", "settleMs", "timeoutMs"))
    result = await requests.while_connected(request, _advance(context.engine, move))
    return await _response(context.engine, result)


async def step(context: Context, request: Request) -> Response:
    """Run one attempt."""
    options = await requests.read_object(request, ("timeoutMs",))
    result = await requests.while_connected(request, context.engine.step(_duration(options, "timeoutMs")))
    return await _response(context.engine, result)


async def drain(context: Context, request: Request) -> Response:
    """Run until every job has finished."""
    options = await requests.read_object(request, ("timeoutMs", "settleMs", "namespace", "queue"))
    timeout_ms = _duration(options, "timeoutMs", DRAIN_TIMEOUT_MS)
    names = {name: requests.text(options, name) for name in ("namespace", "queue") if name in options}
    draining = context.engine.drain(timeout_ms, _duration(options, "settleMs", 0), **names)
    result = await requests.while_connected(request, draining)
    return await _response(context.engine, result, idle=result.stopped_by is None)


async def reset(context: Context, request: Request) -> Response:
    """Delete all jobs and restore the initial state."""
    await requests.read_object(request, ())
    await context.engine.reset()
    return responses.json_response(_clock(context.engine))


async def get_ledger(context: Context, request: Request) -> Response:
    """Respond with a line for each attempt."""
    is_json = requests.one_of(request, "format", ("text", "jsonl")) == "jsonl"
    write = ledger.as_json_lines if is_json else ledger.as_text
    text = await asyncio.to_thread(write, await context.engine.ledger(), context.engine.start_ms)
    return PlainTextResponse(text, media_type="application/x-ndjson" if is_json else "text/plain")


def _clock(engine: Engine) -> dict[str, Any]:
    clock = engine.clock
    return {"mode": clock.mode, "now": iso(clock.now_ms), "offsetMs": clock.offset_ms}


async def _response(engine: Engine, result: PlayResult, **more: bool) -> Response:
    """Respond with what ended, and the jobs that are still unfinished: a client should notice trouble."""
    counts = [queue.counts for queue in await engine.queues()]
    number = sum(count[state] for count in counts for state in JobState if not state.is_finished)
    unfinished = await engine.jobs.unfinished(SHOWN_UNFINISHED) if number else []
    attempts = await responses.encode_list(map(serializers.ended_attempt, result.attempts))
    firings = await responses.encode_list(map(serializers.ended_firing, result.firings))
    before = responses.encode({**more, "now": iso(engine.now())})
    after = responses.encode(
        {
            "stoppedBy": result.stopped_by,
            "unfinished": [serializers.unfinished_job(snapshot) for snapshot in unfinished],
            "unfinishedCount": number,
        }
    )
    return responses.json_bytes(b'%b,"attempts":%b,"firings":%b,%b' % (before[:-1], attempts, firings, after[1:]))


async def _advance(engine: Engine, move: Mapping[str, Any]) -> PlayResult:
    settle_ms, timeout_ms = _duration(move, "settleMs", 0), _duration(move, "timeoutMs")
    if ("ms" in move) == ("to" in move):
        raise InvalidRequest('give either {"ms": NUMBER} or {"to": TIME}, where TIME can be "next"')
    if "ms" in move:
        return await engine.advance(requests.integer(move, "ms", 0, LATEST_MS - engine.now()), settle_ms, timeout_ms)
    if move["to"] == "next":
        return await engine.advance_to_next(settle_ms, timeout_ms)
    try:
        to_ms = parse_time(str(move["to"]))
    except ValueError as error:
        raise InvalidRequest(f'to: {error}, or "next"') from None
    if to_ms < engine.now():
        raise InvalidRequest(f"`to` must be {iso(engine.now())} or later; time can't move backwards")
    return await engine.advance_to(to_ms, settle_ms, timeout_ms)


@overload
def _duration(options: Mapping[str, Any], name: str, default: int) -> int: ...


@overload
def _duration(options: Mapping[str, Any], name: str) -> int | None: ...


def _duration(options: Mapping[str, Any], name: str, default: int | None = None) -> int | None:
    return requests.integer(options, name, 0, DAY_MS) if name in options else default


TIMEOUT = schemas.said(schemas.DURATION, "real time after which it ends early; unlimited if absent")
SETTLE = schemas.said(schemas.DURATION, "real time that must pass without a new job before the response; 0 if absent")
RESULT = {
    "now": schemas.TIME,
    "attempts": schemas.said(schemas.list_of(schemas.ref("EndedAttempt")), "the attempts, in starting order"),
    "firings": schemas.said(schemas.list_of(schemas.ref("EndedFiring")), "the schedules that fired"),
    "stoppedBy": schemas.said(
        {"enum": ["timeout", "reset", "shutdown", None]}, "what ended it early: null if nothing did"
    ),
    "unfinished": schemas.said(
        schemas.list_of(schemas.ref("UnfinishedJob")),
        f"the jobs that aren't finished, running ones first; {SHOWN_UNFINISHED} at most",
    ),
    "unfinishedCount": schemas.said(schemas.COUNT, "the number of jobs that aren't finished"),
}
OPERATIONS = (
    Operation("GET", "/clock", get_clock, "Get the clock", schemas.ref("Clock")),
    Operation(
        "POST",
        "/clock/advance",
        advance,
        "Advance the clock and run everything due by then",
        schemas.record(**RESULT),
        description="Advance by `ms`, or `to` an instant; `next` is the next due time. The response is sent when the "
        "attempts have ended.",
        body=schemas.options(
            ms=schemas.COUNT,
            to=schemas.said({"anyOf": [schemas.INSTANT, {"const": "next"}]}, "an ISO 8601 time, or `next`"),
            settleMs=SETTLE,
            timeoutMs=TIMEOUT,
        ),
        errors=("storage_unavailable",),
    ),
    Operation(
        "POST",
        "/clock/step",
        step,
        "Run one attempt",
        schemas.record(**RESULT),
        description="On the virtual clock: the attempt that starts next, at its due time. Others that are due wait.",
        body=schemas.options(timeoutMs=TIMEOUT),
        errors=("storage_unavailable",),
    ),
    Operation(
        "POST",
        "/drain",
        drain,
        "Run until every job has finished",
        schemas.record(
            idle=schemas.said(schemas.FLAG, "whether every job that isn't held has finished within `timeoutMs`"),
            **RESULT,
        ),
        description="With a namespace or a queue, only their jobs run and count. Held jobs don't count. With the wall "
        "clock it waits; with the virtual clock it moves time.",
        body=schemas.options(
            timeoutMs=schemas.said(schemas.DURATION, f"real time; {DRAIN_TIMEOUT_MS} if absent"),
            settleMs=SETTLE,
            namespace=schemas.TEXT,
            queue=schemas.TEXT,
        ),
        errors=("unknown_namespace", "unknown_queue", "storage_unavailable"),
    ),
    Operation(
        "POST",
        "/reset",
        reset,
        "Delete all jobs and restore the initial state",
        schemas.ref("Clock"),
        description="Deletes jobs, attempts, ledger, counters and refused requests; undoes pauses and changes of "
        "queues, targets and time. Running attempts are cut off.",
        body=schemas.NOTHING,
        errors=("storage_unavailable",),
    ),
    Operation(
        "GET",
        "/ledger",
        get_ledger,
        "List every attempt since the last reset, one per line",
        schemas.TEXT,
        parameters=(
            Parameter("format", "`jsonl` for one JSON object per line; `text` if absent", {"enum": ["text", "jsonl"]}),
        ),
        errors=("storage_unavailable",),
        media_types=("text/plain", "application/x-ndjson"),
    ),
)
