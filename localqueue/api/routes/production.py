"""Serve production's routes: parse, one engine call, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localqueue.api import requests, routing, schemas, serializers
from localqueue.api.routing import Operation
from localqueue.core import envelope
from localqueue.core.text import safe
from localqueue.engine.engine import Engine

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Context:
    """Hold what production's routes work with."""

    engine: Engine
    enqueue: Endpoint


def routes(engine: Engine, enqueue: Endpoint) -> list[Route]:
    """Return `POST /jobs` and `GET /health`."""
    return routing.routes(OPERATIONS, Context(engine, enqueue))


async def enqueue(context: Context, request: Request) -> Response:
    """Accept a job."""
    return await context.enqueue(request)


async def health(context: Context, _: Request) -> Response:
    """Answer whether jobs can be stored."""
    is_well = context.engine.storage_error is None
    return serializers.json_response({"status": "ok" if is_well else "storage_unavailable"}, 200 if is_well else 503)


def enqueuer(engine: Engine, max_body: int, warn: Callable[[str], None]) -> Endpoint:
    """Return what answers `POST /jobs`."""
    warned: set[str] = set()

    def warn_once(key: str) -> None:
        if key not in warned and len(warned) < 1000:
            warned.add(key)
            warn(f"POST /jobs came with the unknown key {safe(key)!r}; it is ignored")

    async def enqueue(request: Request) -> Response:
        found = envelope.parse(await requests.read_body(request, max_body))
        job = await engine.enqueue(found.namespace, found.queue, found.data)
        for key in found.unknown:
            warn_once(key)
        return serializers.json_bytes(f'{{"id":"{job.id}"}}'.encode(), 201)

    return enqueue


_ENVELOPE = schemas.record(namespace=schemas.TEXT, queue=schemas.TEXT)
OPERATIONS = (
    Operation(
        "POST",
        "/jobs",
        enqueue,
        "Enqueue a job",
        schemas.record(id=schemas.said(schemas.TEXT, "UUIDv7")),
        description="It is on disk when the answer comes. `data` is delivered byte for byte as it was sent, `null` if "
        "it is absent. Keys beside these three are ignored, with a warning.",
        body=_ENVELOPE | {"properties": _ENVELOPE["properties"] | {"data": schemas.ANY}},
        errors=("unknown_namespace", "unknown_queue", "shutting_down", "storage_unavailable"),
        status=201,
        strict=False,
    ),
    Operation(
        "GET",
        "/health",
        health,
        "Tell whether jobs can be stored",
        schemas.record(status={"enum": ["ok", "storage_unavailable"]}),
        description="503, with the other status, while the database can't be written.",
        also=503,
        strict=False,
    ),
)
