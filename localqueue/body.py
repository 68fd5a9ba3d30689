"""Read the body of a request within its limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any

from starlette.requests import ClientDisconnect, Request

from localqueue import clock
from localqueue.errors import InvalidJson, InvalidRequest, PayloadTooLarge, RequestTimeout
from localqueue.text import nearest, safe

BODY_DEADLINE_S = 10.0
DROP_BYTES = 16 * 1024 * 1024
DROP_S = 2.0


async def read(request: Request, limit: int) -> bytes:
    """Return the whole body. Raises PayloadTooLarge, RequestTimeout, InvalidRequest."""
    try:
        async with clock.Deadline(BODY_DEADLINE_S):
            return await _read(request, limit)
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {BODY_DEADLINE_S:.0f} s") from None
    except ClientDisconnect:
        raise InvalidRequest("the client went away before its body was complete") from None


async def read_object(request: Request, known: Collection[str], limit: int = 64 * 1024) -> dict[str, Any]:
    """Return the body as a JSON object of known keys; an empty one means {}.

    Raises InvalidJson, InvalidRequest, PayloadTooLarge, RequestTimeout.
    """
    text = await read(request, limit)
    try:
        found = json.loads(text.decode()) if text else {}
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"expected the body to be JSON: {safe(str(error))}") from None
    if not isinstance(found, dict):
        raise InvalidRequest("expected the body to be an object")
    for key in found:
        if key not in known:
            raise InvalidRequest(f"unknown key {safe(key)!r}; known: {', '.join(nearest(key, known)) or 'none'}")
    return found


async def _read(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    declared = request.headers.get("content-length", "")
    is_over = declared.isdigit() and int(declared[:18]) > limit
    async for chunk in request.stream():
        size += len(chunk)
        is_over = is_over or size > limit
        if is_over:
            await _drop(request, size)
            raise PayloadTooLarge(
                f"expected a body of at most {limit} bytes, got more",
                "Send a reference instead of the thing itself, or start with --max-body BYTES.",
            )
        chunks.append(chunk)
    return b"".join(chunks)


async def _drop(request: Request, size: int) -> None:
    """Read on, within bounds: a client that is still sending would see a reset instead of the answer."""
    try:
        async with asyncio.timeout(DROP_S):
            while size < DROP_BYTES:
                message = await request.receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
