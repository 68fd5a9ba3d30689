"""Read the parameters of a request's query."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request

from localqueue.errors import InvalidRequest
from localqueue.schemas import Schema
from localqueue.text import nearest, safe


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a parameter of a query."""

    name: str
    description: str
    schema: Schema


def check(request: Request, known: Collection[Parameter]) -> None:
    """Make sure that every parameter is known and given once. Raises InvalidRequest."""
    names = [parameter.name for parameter in known]
    for name in request.query_params:
        if name not in names:
            others = ", ".join(nearest(name, names)) or "none"
            raise InvalidRequest(f"unknown parameter {safe(name)!r}; known: {others}")
        if len(request.query_params.getlist(name)) > 1:
            raise InvalidRequest(f"expected the parameter {name} once, got it more than once")


def whole_number(request: Request, name: str, largest: int) -> int | None:
    """Return a number from 1 to `largest`, or None where there is none. Raises InvalidRequest."""
    given = request.query_params.get(name)
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) < 20 and 1 <= int(given) <= largest:
        return int(given)
    raise InvalidRequest(f"expected {name} to be a number from 1 to {largest}, got {safe(given)!r}")


def one_of(request: Request, name: str, choices: Collection[str]) -> str | None:
    """Return a parameter that must be one of these, or None where there is none. Raises InvalidRequest."""
    given = request.query_params.get(name)
    if given is None or given in choices:
        return given
    raise InvalidRequest(f"expected {name} to be one of {', '.join(choices)}, got {safe(given)!r}")
