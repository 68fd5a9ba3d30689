"""Build the Starlette app: routes, the security middleware around them, and errors as JSON."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from localqueue.api import responses
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
    info: ServerInfo,
    *,
    allow_hosts: Collection[str] = (),
    allow_remote: bool = False,
) -> ASGIApp:
    """Return the application for an open engine."""

    async def internal_error(_: Request, error: Exception) -> Response:
        number = uuid.uuid4().hex[:8]
        engine.hub(events.Warned(f"internal error {number}: {safe(repr(error))}. Please report it."))
        return responses.error_response(
            LocalqueueError(f"internal error {number}", "The log has details.", code="internal")
        )

    enqueue = production.EnqueueEndpoint(engine, info.max_body)
    app = Starlette(
        routes=[
            *production.routes(engine, enqueue),
            *routes.entrances(),
            control.routes(engine, info),
        ],
        exception_handlers={
            LocalqueueError: _known_error,
            HTTPException: functools.partial(_http_error, engine),
            Exception: internal_error,
        },
    )
    app.router.redirect_slashes = False  # a redirect would lose the body in some clients
    direct = _direct_enqueue(app, enqueue, internal_error)
    return SecurityMiddleware(direct, engine.rejections, allow_hosts, allow_remote)


def _direct_enqueue(
    app: ASGIApp, enqueue: production.Endpoint, internal_error: Callable[[Request, Exception], Awaitable[Response]]
) -> ASGIApp:
    """Route `POST /jobs` around Starlette's router and middleware, which cost more than the work itself."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/jobs" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await enqueue(request)
        except LocalqueueError as error:
            response = responses.error_response(error)
        except Exception as error:
            response = await internal_error(request, error)
        await response(scope, receive, send)

    return route


async def _known_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, LocalqueueError)
    return responses.error_response(error)


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Return what a path supports: Starlette's exception names only the methods of its first route."""
    found: list[Route] = []
    for route in routes:
        match, child = route.matches(scope)
        if match is not Match.NONE and isinstance(route, Mount):
            return _methods(route.routes, {**scope, **child})
        if match is not Match.NONE and isinstance(route, Route):
            found.append(route)
    return sorted({method for route in found if route.path == found[0].path for method in route.methods or ()})


async def _http_error(engine: Engine, request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        message = f"{safe(request.method)} isn't allowed for {safe(request.url.path)}"
        response = responses.error_response(MethodNotAllowed(message, "To enqueue a job: POST /jobs"))
        response.headers["allow"] = ", ".join(_methods(request.app.routes, {**request.scope, "root_path": ""}))
        return response
    path = request.url.path
    hint = "To enqueue a job: POST /jobs. The control API is under /_localqueue/."
    if path.startswith("//"):
        hint = "The path starts with two slashes: remove the slash at the end of IEC_QUEUE_URL."
    not_found = NotFound(f"there is no route {safe(path)}", hint)
    if request.method == "POST" and path.strip("/") == "jobs":  # a mistyped way to enqueue
        engine.rejections.add(not_found, None, None)
    return responses.error_response(not_found)
