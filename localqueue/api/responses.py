"""Build HTTP responses of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from starlette.responses import Response

from localqueue.core import clock
from localqueue.core.errors import LocalqueueError, UnclearFraming

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(content: object) -> bytes:
    """Return compact JSON in UTF-8 on one line."""
    return _ENCODER.encode(content).encode("utf-8", "replace")


async def encode_list(items: Iterable[object], size: int = 100) -> bytes:
    """Return the JSON of a long list; other tasks run after every `size` items."""
    return b"[%b]" % b",".join([encode(item) async for item in clock.in_steps(items, size)])


def json_response(content: object, status: int = 200) -> Response:
    """Return a response with a JSON body."""
    return json_bytes(encode(content), status)


def json_bytes(body: bytes, status: int = 200) -> Response:
    """Return a response whose body is JSON already."""
    return Response(body, status, media_type="application/json")


def error_response(error: LocalqueueError) -> Response:
    """Return the one error shape: {"error": {code, message, hint}}."""
    body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    response = json_response(body, error.status)
    if error.status == 503:
        response.headers["Retry-After"] = "1"
    if isinstance(error, UnclearFraming):
        response.headers["Connection"] = "close"
    return response
