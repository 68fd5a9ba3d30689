"""Serve the app over HTTP with uvicorn."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from localqueue.server import sockets
from localqueue.server.http_protocol import PatientProtocol
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

    async def start(self, asgi: ASGIApp, listeners: list[socket.socket]) -> None:
        """Serve an app on these sockets; return once it accepts requests."""
        is_up = asyncio.Event()
        self._server = PromptServer(_config(asgi), is_up.set)
        self._serving = asyncio.create_task(self._server.serve(sockets=listeners))
        await is_up.wait()


def _config(asgi: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        http=PatientProtocol,
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
