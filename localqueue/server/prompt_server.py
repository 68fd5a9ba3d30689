"""A uvicorn server that stops at once and wakes up once a second; uvicorn's own loop does both every 100 ms."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from localqueue.core import clock

TICK_S = 1.0
"""How often the Date header of responses is renewed, in seconds."""
_POLL_S = 0.005


class PromptServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the process, and stops when it is told to; it calls `on_up` once."""

    def __init__(self, config: uvicorn.Config, on_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_up = on_up
        self._is_stopped = asyncio.Event()

    def stop(self) -> None:
        """Accept no more requests and end when the running ones have ended, or after the graceful timeout."""
        self.should_exit = True
        self._is_stopped.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._on_up()

    async def main_loop(self) -> None:
        """Return after `stop`."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._is_stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything, and end the lifespan of the app."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.end_requests()
        await self.lifespan.shutdown()

    async def end_requests(self) -> None:
        """Wait for the running requests until the graceful timeout; then cancel them."""
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.tasks or self.server_state.connections:
                    await clock.delay(_POLL_S)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield
