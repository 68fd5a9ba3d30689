"""Live events: a stream that ends with the server or when the client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from localqueue.api import schemas
from localqueue.api.context import Context
from localqueue.api.event_buffer import EventBuffer, EventFilter
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation


class EventStream(Response):
    """A response that streams the events of one follower."""

    media_type = "text/event-stream"

    def __init__(self, buffer: EventBuffer, last_id: str | None, wanted: EventFilter) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._stack = ExitStack()
        self._chunks = buffer.chunks(self._stack.enter_context(buffer.following()), last_id, wanted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the server stops or the client disconnects."""
        with self._stack:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await _first_of(self._send(send), _disconnected(receive))
            await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send) -> None:
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until the first one ends, and cancel the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def follow_events(context: Context, request: Request) -> Response:
    """Respond with events until the client disconnects."""
    parameters = request.query_params
    job = parameters.get("job")
    wanted = EventFilter(parameters.get("namespace"), parameters.get("queue"), None if job is None else job.lower())
    return EventStream(context.events, request.headers.get("last-event-id"), wanted)


OPERATIONS = (
    Operation(
        "GET",
        "/events",
        follow_events,
        "Follow events live (server-sent events)",
        schemas.ANY,
        description="Each event has an `id`, an `event` and one line of JSON as `data`. After a reconnect with the "
        "header `Last-Event-ID`, missed events come first.",
        parameters=(
            Parameter("namespace", "only jobs and attempts in this namespace", schemas.TEXT),
            Parameter("queue", "only jobs and attempts in this queue", schemas.TEXT),
            Parameter("job", "only this job and its attempts: an ID or a short ID", schemas.TEXT),
        ),
        errors=("too_many_streams",),
        media_types=("text/event-stream",),
    ),
)
