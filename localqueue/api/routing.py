"""Describe every route: its handler, and its documentation."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localqueue.api import requests
from localqueue.api.schemas import Schema

Handler = Callable[[Any, Request], Awaitable[Response]]
"""Gets the context of its routes and the request."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path.

    `errors` are its error codes, in addition to those of every route; `also` is another status with the same schema.
    A `strict` operation refuses unknown parameters.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    response: Schema
    description: str = ""
    parameters: tuple[requests.Parameter, ...] = ()
    body: Schema | None = None
    errors: tuple[str, ...] = ()
    status: int = 200
    also: int | None = None
    media_types: tuple[str, ...] = (JSON,)
    strict: bool = True


def routes(operations: Iterable[Operation], context: object) -> list[Route]:
    """Return the routes of a table."""
    return [Route(item.path, _endpoint(item, context), methods=[item.method]) for item in operations]


def _endpoint(operation: Operation, context: object) -> Callable[[Request], Awaitable[Response]]:
    if not operation.strict:
        return functools.partial(operation.handler, context)

    async def checked(request: Request) -> Response:
        requests.check_parameters(request, operation.parameters)
        return await operation.handler(context, request)

    return checked
