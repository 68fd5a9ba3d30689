"""Put the Starlette app together: routes, the gate around them, and errors as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from localqueue.api import serializers
from localqueue.api.context import ServerInfo
from localqueue.api.routes import control, production
from localqueue.api.security import SecurityMiddleware
from localqueue.core import events
from localqueue.core.errors import LocalqueueError, MethodNotAllowed, NotFound
from localqueue.core.text import safe
from localqueue.dashboard import routes
from localqueue.engine.engine import Engine


def build(
    engine: Engine,
    report: events.Report,
    place: ServerInfo,
    *,
    allow_hosts: Collection[str] = (),
    allow_remote: bool = False,
) -> ASGIApp:
    """Return the whole application over an open engine."""

    async def internal_error(_: Request, error: Exception) -> Response:
        number = uuid.uuid4().hex[:8]
        report(events.Warned(f"internal error {number}: {safe(repr(error))}; please report it"))
        return serializers.error(LocalqueueError(f"internal error {number}", "The log says more.", code="internal"))

    enqueue = production.enqueuer(engine, place.max_body, lambda message: report(events.Warned(message)))
    app = Starlette(
        routes=[
            *production.routes(engine, enqueue),
            *routes.entrances(),
            control.routes(engine, place),
        ],
        exception_handlers={
            LocalqueueError: _known_error,
            HTTPException: _http_error,
            Exception: internal_error,
        },
    )
    app.router.redirect_slashes = False  # a redirect would lose the body in some clients
    return SecurityMiddleware(_with_shortcut(app, enqueue, internal_error), allow_hosts, allow_remote)


def _with_shortcut(
    app: ASGIApp, enqueue: production.Endpoint, internal_error: Callable[[Request, Exception], Awaitable[Response]]
) -> ASGIApp:
    """Lead `POST /jobs` past Starlette's layers and its router, which cost more than the work itself."""

    async def shortcut(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/jobs" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await enqueue(request)
        except LocalqueueError as error:
            response = serializers.error(error)
        except Exception as error:
            response = await internal_error(request, error)
        await response(scope, receive, send)

    return shortcut


async def _known_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, LocalqueueError)
    return serializers.error(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        message = f"{safe(request.method)} is not allowed here"
        response = serializers.error(MethodNotAllowed(message, "Jobs are sent with POST /jobs."))
        response.headers.update(error.headers or {})
        return response
    hint = "Jobs are sent with POST /jobs; what only localqueue has is under /_localqueue/."
    return serializers.error(NotFound(f"there is nothing at {safe(request.url.path)}", hint))
