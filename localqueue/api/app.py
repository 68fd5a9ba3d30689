"""Build the Starlette app: routes, the security middleware around them, and errors as JSON."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Scope

from localqueue.api import responses
from localqueue.api.context import ServerInfo
from localqueue.api.direct_enqueue import DirectEnqueue
from localqueue.api.routes import control, production
from localqueue.api.security import SecurityMiddleware
from localqueue.core import events
from localqueue.core.errors import LocalqueueError, MethodNotAllowed, NotFound
from localqueue.core.text import safe
from localqueue.dashboard import routes
from localqueue.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class App:
    """The application, and the direct way to its `POST /jobs`."""

    asgi: ASGIApp
    direct: DirectEnqueue


def build(
    engine: Engine,
    info: ServerInfo,
    *,
    allow_hosts: Collection[str] = (),
    allow_remote: bool = False,
) -> App:
    """Return the application for an open engine."""

    def internal_error(error: Exception) -> Response:
        number = uuid.uuid4().hex[:8]
        engine.hub(events.Warned(f"internal error {number}: {safe(repr(error))}. Please report it."))
        return responses.error_response(
            LocalqueueError(f"internal error {number}", "The log has details.", code="internal")
        )

    async def unknown_error(_: Request, error: Exception) -> Response:
        return internal_error(error)

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
            Exception: unknown_error,
        },
    )
    app.router.redirect_slashes = False  # a redirect would lose the body in some clients
    guarded = SecurityMiddleware(app, engine.rejections, allow_hosts, allow_remote)
    return App(guarded, DirectEnqueue(guarded.check, enqueue, internal_error))


async def _known_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, LocalqueueError)
    return responses.error_response(error)


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Return what a path supports: Starlette's exception names only the methods of its first route."""
    matching: list[Route] = []
    for route in routes:
        match, child = route.matches(scope)
        if match is not Match.NONE and isinstance(route, Mount):
            return _methods(route.routes, {**scope, **child})
        if match is not Match.NONE and isinstance(route, Route):
            matching.append(route)
    return sorted({method for route in matching if route.path == matching[0].path for method in route.methods or ()})


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
