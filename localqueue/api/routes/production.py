"""The production API: `POST /jobs` and `GET /health`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localqueue.api import requests, responses, routing, schemas
from localqueue.api.routing import Operation
from localqueue.core import envelope
from localqueue.core.errors import RequestError, Unavailable
from localqueue.engine.engine import Engine

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Context:
    """The context of the production routes."""

    engine: Engine
    enqueue: Endpoint


def routes(engine: Engine, enqueue: Endpoint) -> list[Route]:
    """Return `POST /jobs` and `GET /health`."""
    return routing.routes(OPERATIONS, Context(engine, enqueue))


async def enqueue(context: Context, request: Request) -> Response:
    """Accept a job."""
    return await context.enqueue(request)


async def health(context: Context, _: Request) -> Response:
    """Respond whether jobs can be stored."""
    is_healthy = context.engine.storage_error is None
    return responses.json_response(
        {"status": "ok" if is_healthy else "storage_unavailable"}, 200 if is_healthy else 503
    )


class EnqueueEndpoint:
    """The one way in for `POST /jobs`: it parses, enqueues, and remembers what it refuses."""

    def __init__(self, engine: Engine, max_body: int) -> None:
        self._engine = engine
        self.max_body = max_body

    async def __call__(self, request: Request) -> Response:
        """Accept a job. Raises RequestError, Unavailable."""
        try:
            body = await requests.read_body(request, self.max_body)
        except RequestError as error:
            self._engine.rejections.add(error, None, None)
            raise
        return responses.json_bytes(await self.accept(body), 201)

    async def accept(self, body: bytes) -> bytes:
        """Accept the job of a body; return the body of the response. Raises RequestError, Unavailable."""
        parts: envelope.Envelope | None = None
        try:
            parts = envelope.parse(body)
            job = await self._engine.enqueue(parts.namespace, parts.queue, parts.data)
        except (RequestError, Unavailable) as error:
            namespace, queue = (None, None) if parts is None else (parts.namespace, parts.queue)
            self._engine.rejections.add(error, namespace, queue)
            raise
        if parts.unknown:
            self._engine.ignored_keys.add(job, parts.unknown, parts.is_data_missing)
        return f'{{"id":"{job.id}"}}'.encode()


_NAME = schemas.TEXT | {"maxLength": envelope.NAME_LIMIT}
_ENVELOPE = schemas.record(namespace=_NAME, queue=_NAME) | {"maxProperties": envelope.KEY_LIMIT}
OPERATIONS = (
    Operation(
        "POST",
        "/jobs",
        enqueue,
        "Enqueue a job",
        schemas.record(id=schemas.said(schemas.TEXT, "UUIDv7")),
        description="The job is on disk before the response is sent. `data` is delivered byte for byte as it was sent, "
        "or as `null` if it is absent. Other keys are ignored, with a warning.",
        body=_ENVELOPE | {"properties": _ENVELOPE["properties"] | {"data": schemas.ANY}},
        errors=("unknown_namespace", "unknown_queue", "shutting_down", "storage_unavailable"),
        status=201,
        strict=False,
    ),
    Operation(
        "GET",
        "/health",
        health,
        "Check whether jobs can be stored",
        schemas.record(status={"enum": ["ok", "storage_unavailable"]}),
        description="Responds 503 with status `storage_unavailable` while the database can't be written.",
        also=503,
        strict=False,
    ),
)
