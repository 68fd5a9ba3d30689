"""Serve queues: their numbers, pauses, and changes of settings and targets that last until the next reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import requests, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.routing import Operation
from localqueue.catalog import loader
from localqueue.core.errors import InvalidRequest
from localqueue.core.text import safe


async def list_queues(context: Context, _: Request) -> Response:
    """Answer with every queue."""
    engine = context.engine
    return serializers.json_response(serializers.queues(await engine.queues(), engine.catalog.targets))


async def pause(context: Context, request: Request) -> Response:
    """Start nothing more of a queue."""
    return await _pause(context, request, True)


async def resume(context: Context, request: Request) -> Response:
    """Go on with a queue."""
    return await _pause(context, request, False)


async def _pause(context: Context, request: Request, is_paused: bool) -> Response:
    await requests.read_object(request, ())
    await context.engine.pause(request.path_params["namespace"], request.path_params["queue"], is_paused)
    return serializers.json_response({"held": "paused" if is_paused else None})


async def change_queue(context: Context, request: Request) -> Response:
    """Change settings of a queue."""
    given = await requests.read_object(request, loader.RANGES)
    changed = context.engine.change_queue(request.path_params["namespace"], request.path_params["queue"], given)
    return serializers.json_response(serializers.queue_settings(changed))


async def change_target(context: Context, request: Request) -> Response:
    """Change where a service listens."""
    given = await requests.read_object(request, ("url",))
    url = _target(given.get("url"), context.place.is_own)
    context.engine.change_target(request.path_params["namespace"], url)
    return serializers.json_response({"namespace": request.path_params["namespace"], "url": url})


def _target(url: Any, is_own: Callable[[str], bool]) -> str:
    if not isinstance(url, str):
        raise InvalidRequest('expected {"url": "http://HOST:PORT"}')
    problem = loader.target_problem(url) or ("expected another server than localqueue itself" if is_own(url) else None)
    if problem:
        raise InvalidRequest(f"url: {problem}, got {safe(url)!r}")
    return url.rstrip("/")


UNKNOWN = ("unknown_namespace", "unknown_queue")
HELD = schemas.record(held={"enum": ["paused", None]})
OPERATIONS = (
    Operation(
        "GET",
        "/queues",
        list_queues,
        "List every queue that is declared or has jobs",
        schemas.record(queues=schemas.list_of(schemas.ref("Queue"))),
        errors=("storage_unavailable",),
    ),
    Operation(
        "PATCH",
        "/queues/{namespace}/{queue}",
        change_queue,
        "Change settings of a queue until the next reset",
        schemas.ref("Settings"),
        description="For tests. Attempts under way finish under the old settings.",
        body=schemas.options(**schemas.SETTINGS),
        errors=UNKNOWN,
    ),
    Operation(
        "POST",
        "/queues/{namespace}/{queue}/pause",
        pause,
        "Start nothing more of a queue",
        HELD,
        description="Attempts under way go on. A pause outlives a restart, not a reset.",
        body=schemas.NOTHING,
        errors=(*UNKNOWN, "storage_unavailable"),
    ),
    Operation(
        "POST",
        "/queues/{namespace}/{queue}/resume",
        resume,
        "Go on with a queue",
        HELD,
        body=schemas.NOTHING,
        errors=(*UNKNOWN, "storage_unavailable"),
    ),
    Operation(
        "PUT",
        "/targets/{namespace}",
        change_target,
        "Change where a service listens until the next reset",
        schemas.record(namespace=schemas.TEXT, url=schemas.TEXT),
        description="For tests. localqueue itself is refused.",
        body=schemas.record(url=schemas.said(schemas.TEXT, "`http://HOST:PORT`, or https")),
        errors=("unknown_namespace",),
    ),
)
