"""Read a request: its body within limits, and the parameters of its query."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from localqueue.api.schemas import Schema
from localqueue.core import clock
from localqueue.core.errors import InvalidJson, InvalidRequest, PayloadTooLarge, RequestTimeout
from localqueue.core.numbers import as_int
from localqueue.core.text import nearest, safe

T = TypeVar("T")
BODY_DEADLINE_S = 10.0
DROP_BYTES = 16 * 1024 * 1024
DROP_S = 2.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    description: str
    schema: Schema
    is_required: bool = False


def check_parameters(request: Request, known: Collection[Parameter]) -> None:
    """Check that every parameter is known and given once. Raises InvalidRequest."""
    names = [parameter.name for parameter in known]
    for name in request.query_params:
        if name not in names:
            raise InvalidRequest(f"unknown parameter {safe(name)!r}; {_known(name, names)}")
        if len(request.query_params.getlist(name)) > 1:
            raise InvalidRequest(f"parameter {name} is given more than once")


def _known(name: str, names: Collection[str]) -> str:
    return f"known: {', '.join(nearest(name, names))}" if names else "none is known here"


def whole_number(request: Request, name: str, largest: int) -> int | None:
    """Return a number from 1 to `largest`, or None if it is absent. Raises InvalidRequest."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= largest:
        return int(text)
    raise InvalidRequest(f"{name} must be a number from 1 to {largest}, not {safe(text)!r}")


def one_of(request: Request, name: str, choices: Collection[str]) -> str | None:
    """Return a parameter that must be one of these, or None if it is absent. Raises InvalidRequest."""
    text = request.query_params.get(name)
    if text is None or text in choices:
        return text
    raise InvalidRequest(f"{name} must be one of {', '.join(choices)}, not {safe(text)!r}")


def text(content: Mapping[str, Any], name: str) -> str:
    """Return a string of a body. Raises InvalidRequest."""
    value = content[name]
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string, not {safe(str(value), 60)}")
    return value


def integer(content: Mapping[str, Any], name: str, smallest: int, largest: int) -> int:
    """Return a whole number of a body. Raises InvalidRequest."""
    number = as_int(content[name])
    if number is not None and smallest <= number <= largest:
        return number
    value = safe(repr(content[name]), 60)
    raise InvalidRequest(f"{name} must be a whole number from {smallest} to {largest}, not {value}")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work that may take long; cancel it if the client disconnects. Raises InvalidRequest.

    Otherwise the next request would wait for work whose result nobody wants any more. Call it after reading the body.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise InvalidRequest("the client disconnected before the response")
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(leaving, working, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body. Raises PayloadTooLarge, RequestTimeout, InvalidRequest."""
    try:
        async with clock.Deadline(BODY_DEADLINE_S):
            return await _read(request, limit)
    except TimeoutError:
        raise RequestTimeout(f"the request body did not arrive within {BODY_DEADLINE_S:.0f} s") from None


async def read_object(request: Request, known: Collection[str], limit: int = 64 * 1024) -> dict[str, Any]:
    """Return the body as a JSON object with known keys; an empty body means {}.

    Raises InvalidJson, InvalidRequest, PayloadTooLarge, RequestTimeout.
    """
    text = await read_body(request, limit)
    try:
        content = json.loads(text.decode()) if text else {}
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"the body isn't valid JSON: {safe(str(error))}") from None
    if not isinstance(content, dict):
        raise InvalidRequest("the body must be a JSON object")
    for key in content:
        if key not in known:
            raise InvalidRequest(f"unknown key {safe(key)!r}; {_known(key, known)}")
    return content


async def _read(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, is_complete = 0, False
    declared = request.headers.get("content-length", "")
    is_over = declared.isdigit() and int(declared[:18]) > limit
    while not is_complete:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client disconnected before its body was complete")
        chunks.append(message.get("body", b""))
        size, is_complete = size + len(chunks[-1]), not message.get("more_body", False)
        if is_over or size > limit:
            if not is_complete:
                await _drop(request, size)
            raise PayloadTooLarge(
                f"the body is larger than {limit} bytes",
                "Send a reference instead of the content, or allow larger bodies: localqueue up --max-body BYTES",
            )
    return b"".join(chunks)


async def _drop(request: Request, size: int) -> None:
    """Keep reading, within bounds: a client that is still sending would see a reset instead of the response."""
    try:
        async with asyncio.timeout(DROP_S):
            while size < DROP_BYTES:
                message = await request.receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
