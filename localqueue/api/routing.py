"""Describe every route in one table: what answers it, and what its documentation says."""

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
"""Gets the context of its routes, and the request."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """Describe one method of one path.

    `errors` are the codes that it may answer with, beside those of every route; `also` is a status with which it
    answers in the same way. A `strict` one refuses parameters that it does not know.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Schema
    description: str = ""
    parameters: tuple[requests.Parameter, ...] = ()
    body: Schema | None = None
    errors: tuple[str, ...] = ()
    status: int = 200
    also: int | None = None
    media_type: str = JSON
    strict: bool = True


def routes(operations: Iterable[Operation], context: object) -> list[Route]:
    """Return the routes of a table."""
    return [Route(each.path, _endpoint(each, context), methods=[each.method]) for each in operations]


def _endpoint(operation: Operation, context: object) -> Callable[[Request], Awaitable[Response]]:
    if not operation.strict:
        return functools.partial(operation.handler, context)

    async def checked(request: Request) -> Response:
        requests.check_parameters(request, operation.parameters)
        return await operation.handler(context, request)

    return checked
