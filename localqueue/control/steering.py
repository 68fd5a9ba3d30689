"""Serve the routes that move time and change queues: what tests and people steer with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from localqueue import answers, body, catalog, ledger
from localqueue.engine import Engine
from localqueue.errors import InvalidRequest
from localqueue.text import LATEST_MS, iso, parse_time, safe
from localqueue.timeline import Made

DAY_MS = 24 * 3600 * 1000
DRAIN_TIMEOUT_MS = 30_000


def routes(engine: Engine, is_own: Callable[[str], bool]) -> list[Route]:
    """Return the routes for time, ledger, reset, and changes of queues and targets."""

    async def clock(_: Request) -> Response:
        return answers.reply(_clock(engine))

    async def advance(request: Request) -> Response:
        given = await body.read_object(request, ("ms", "to", "settleMs"))
        return answers.reply(_made(engine, await _advance(engine, given)))

    async def drain(request: Request) -> Response:
        given = await body.read_object(request, ("timeoutMs", "settleMs"))
        timeout_ms = _whole(given, "timeoutMs", DAY_MS, DRAIN_TIMEOUT_MS)
        found = await engine.drain(timeout_ms, _whole(given, "settleMs", DAY_MS, 0))
        return answers.reply({"idle": found.is_idle, **_made(engine, found.attempts)})

    async def reset(request: Request) -> Response:
        await body.read_object(request, ())
        await engine.reset()
        return answers.reply(_clock(engine))

    async def show_ledger(request: Request) -> Response:
        form = request.query_params.get("format", "text")
        if form not in ("text", "jsonl"):
            raise InvalidRequest(f"expected format to be text or jsonl, got {safe(form)!r}")
        write = ledger.as_text if form == "text" else ledger.as_json_lines
        text = write(await engine.ledger(), engine.start_ms)
        return PlainTextResponse(text, media_type="text/plain" if form == "text" else "application/x-ndjson")

    async def change_queue(request: Request) -> Response:
        given = await body.read_object(request, catalog.RANGES)
        changed = engine.change_queue(request.path_params["namespace"], request.path_params["queue"], given)
        return answers.reply(answers.queue_settings(changed))

    async def pause(request: Request) -> Response:
        await body.read_object(request, ())
        is_paused = request.url.path.endswith("/pause")
        await engine.pause(request.path_params["namespace"], request.path_params["queue"], is_paused)
        return answers.reply({"held": "paused" if is_paused else None})

    async def change_target(request: Request) -> Response:
        given = await body.read_object(request, ("url",))
        url = _target(given.get("url"), is_own)
        engine.change_target(request.path_params["namespace"], url)
        return answers.reply({"namespace": request.path_params["namespace"], "url": url})

    return [
        Route("/clock", clock),
        Route("/clock/advance", advance, methods=["POST"]),
        Route("/drain", drain, methods=["POST"]),
        Route("/reset", reset, methods=["POST"]),
        Route("/ledger", show_ledger),
        Route("/queues/{namespace}/{queue}", change_queue, methods=["PATCH"]),
        Route("/queues/{namespace}/{queue}/pause", pause, methods=["POST"]),
        Route("/queues/{namespace}/{queue}/resume", pause, methods=["POST"]),
        Route("/targets/{namespace}", change_target, methods=["PUT"]),
    ]


def _clock(engine: Engine) -> dict[str, Any]:
    found = engine.clock
    return {"mode": found.mode, "now": iso(found.now_ms), "offsetMs": found.offset_ms}


def _made(engine: Engine, made: Made) -> dict[str, Any]:
    return {"now": iso(engine.now()), "attempts": [answers.made(each) for each in made]}


async def _advance(engine: Engine, given: Mapping[str, Any]) -> Made:
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


def _target(url: Any, is_own: Callable[[str], bool]) -> str:
    if not isinstance(url, str):
        raise InvalidRequest('expected {"url": "http://HOST:PORT"}')
    problem = catalog.target_problem(url) or ("expected another server than localqueue itself" if is_own(url) else None)
    if problem:
        raise InvalidRequest(f"url: {problem}, got {safe(url)!r}")
    return url.rstrip("/")
