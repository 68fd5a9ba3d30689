"""Queues: jobs by state, pauses, and changes of settings and targets until the next reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import requests, responses, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.routing import Operation
from localqueue.catalog import queue_fields
from localqueue.catalog.targets import BASE_URL, target_problem
from localqueue.core.errors import InvalidRequest
from localqueue.core.text import safe


async def list_queues(context: Context, _: Request) -> Response:
    """Respond with every queue."""
    engine = context.engine
    return responses.json_response(serializers.queues(await engine.queues(), engine.catalog.targets))


async def recent_attempts(context: Context, request: Request) -> Response:
    """Respond with the attempts of the last minute."""
    key = request.path_params["namespace"], request.path_params["queue"]
    context.engine.check_known(*key)
    return responses.json_response(serializers.recent_attempts(context.recent.read(key)))


async def pause(context: Context, request: Request) -> Response:
    """Pause a queue."""
    return await _pause(context, request, True)


async def resume(context: Context, request: Request) -> Response:
    """Resume a queue."""
    return await _pause(context, request, False)


async def _pause(context: Context, request: Request, is_paused: bool) -> Response:
    await requests.read_object(request, ())
    await context.engine.pause(request.path_params["namespace"], request.path_params["queue"], is_paused)
    return responses.json_response({"held": "paused" if is_paused else None})


async def change_queue(context: Context, request: Request) -> Response:
    """Change settings of a queue."""
    settings = await requests.read_object(request, queue_fields.RANGES)
    changed = context.engine.change_queue(request.path_params["namespace"], request.path_params["queue"], settings)
    return responses.json_response(serializers.queue_settings(changed))


async def change_target(context: Context, request: Request) -> Response:
    """Change the base URL of a service."""
    body = await requests.read_object(request, ("url",))
    namespace = request.path_params["namespace"]
    is_undone = "url" in body and body["url"] is None
    url = context.engine.change_target(namespace, None if is_undone else _target(body.get("url"), context.info.is_own))
    return responses.json_response({"namespace": namespace, "url": url})


def _target(url: Any, is_own: Callable[[str], bool]) -> str:
    if not isinstance(url, str):
        raise InvalidRequest('the body must be {"url": "http://HOST:PORT"}')
    problem = target_problem(url) or ("is localqueue itself" if is_own(url) else None)
    if problem:
        raise InvalidRequest(f"url: {safe(url)!r} {problem}")
    return url.rstrip("/")


UNKNOWN = ("unknown_namespace", "unknown_queue")
HELD = schemas.record(held={"enum": ["paused", None]})
URL = {"type": "string", "pattern": BASE_URL}
OPERATIONS = (
    Operation(
        "GET",
        "/queues",
        list_queues,
        "List queues",
        schemas.record(queues=schemas.list_of(schemas.ref("Queue"))),
        description="Every queue that is declared or has jobs.",
        errors=("storage_unavailable",),
    ),
    Operation(
        "PATCH",
        "/queues/{namespace}/{queue}",
        change_queue,
        "Change settings of a queue until the next reset",
        schemas.ref("Settings"),
        description="Running attempts finish under the old settings. `null` restores the value of the catalog, and "
        "so does a restart.",
        body=schemas.options(**{name: schemas.or_null(setting) for name, setting in schemas.SETTINGS.items()}),
        errors=UNKNOWN,
    ),
    Operation(
        "GET",
        "/queues/{namespace}/{queue}/recent",
        recent_attempts,
        "Get the attempts of the last minute",
        schemas.ref("RecentAttempts"),
        description="One number for each of the last 60 seconds of real time, the oldest first, since the start or "
        "the reset.",
        errors=UNKNOWN,
    ),
    Operation(
        "POST",
        "/queues/{namespace}/{queue}/pause",
        pause,
        "Pause a queue",
        HELD,
        description="Running attempts finish. A pause survives a restart, but not a reset.",
        body=schemas.NOTHING,
        errors=(*UNKNOWN, "storage_unavailable"),
    ),
    Operation(
        "POST",
        "/queues/{namespace}/{queue}/resume",
        resume,
        "Resume a queue",
        HELD,
        body=schemas.NOTHING,
        errors=(*UNKNOWN, "storage_unavailable"),
    ),
    Operation(
        "PUT",
        "/targets/{namespace}",
        change_target,
        "Change the base URL of a service until the next reset",
        schemas.record(namespace=schemas.TEXT, url=schemas.TEXT),
        description="The URL of localqueue itself is refused. `null` restores the first target, and so does a restart.",
        body=schemas.options(
            "url", url=schemas.said(schemas.or_null(URL), "`http://HOST:PORT` or `https://HOST:PORT`")
        ),
        errors=("unknown_namespace",),
    ),
)
