"""Serve the app over HTTP with uvicorn."""

from __future__ import annotations

import asyncio
import functools
import socket
from types import TracebackType

import uvicorn

from localqueue.api.app import App
from localqueue.server import sockets
from localqueue.server.enqueue_protocol import EnqueueProtocol, KnownHeads
from localqueue.server.prompt_server import PromptServer


class HttpServer:
    """The HTTP side of a server: it stops at the end of its `async with` block."""

    def __init__(self) -> None:
        self._server: PromptServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HttpServer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._serving is not None:
            self._server.stop()
            await self._serving

    async def start(self, app: App, listeners: list[socket.socket]) -> None:
        """Serve an app on these sockets; return once it accepts requests."""
        is_up = asyncio.Event()
        self._server = PromptServer(_config(app), is_up.set)
        self._serving = asyncio.create_task(self._server.serve(sockets=listeners))
        await is_up.wait()


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app.asgi,
        http=functools.partial(EnqueueProtocol, known=KnownHeads(app.direct)),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        log_level="critical",  # failures become responses or events
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=sockets.BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
    )
