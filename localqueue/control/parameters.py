"""Read the parameters of a request's query."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.requests import Request

from localqueue.errors import InvalidRequest
from localqueue.text import nearest, safe


def read(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """Return the parameters, each of which must be known and given once. Raises InvalidRequest."""
    given = request.query_params
    for name in given:
        if name not in known:
            raise InvalidRequest(
                f"unknown parameter {safe(name)!r}; known: {', '.join(nearest(name, known)) or 'none'}"
            )
        if len(given.getlist(name)) > 1:
            raise InvalidRequest(f"expected the parameter {name} once, got it more than once")
    return given


def whole_number(name: str, given: str | None, largest: int) -> int | None:
    """Return a number from 1 to `largest`, or None where there is none. Raises InvalidRequest."""
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) < 20 and 1 <= int(given) <= largest:
        return int(given)
    raise InvalidRequest(f"expected {name} to be a number from 1 to {largest}, got {safe(given)!r}")
