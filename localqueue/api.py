"""Serve production's routes: parse, one engine call, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localqueue import answers, body, envelope
from localqueue.engine import Engine
from localqueue.text import safe

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(engine: Engine, enqueue: Endpoint) -> list[Route]:
    """Return `POST /jobs` and `GET /health`."""

    async def health(_: Request) -> Response:
        is_well = engine.storage_error is None
        return answers.reply({"status": "ok" if is_well else "storage_unavailable"}, 200 if is_well else 503)

    return [Route("/jobs", enqueue, methods=["POST"]), Route("/health", health)]


def enqueuer(engine: Engine, max_body: int, warn: Callable[[str], None]) -> Endpoint:
    """Return what answers `POST /jobs`."""
    warned: set[str] = set()

    def warn_once(key: str) -> None:
        if key not in warned and len(warned) < 1000:
            warned.add(key)
            warn(f"POST /jobs came with the unknown key {safe(key)!r}; it is ignored")

    async def enqueue(request: Request) -> Response:
        found = envelope.parse(await body.read(request, max_body))
        job = await engine.enqueue(found.namespace, found.queue, found.data)
        for key in found.unknown:
            warn_once(key)
        return answers.raw(f'{{"id":"{job.id}"}}'.encode(), 201)

    return enqueue
