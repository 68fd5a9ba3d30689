"""Run an ASGI app, including its lifespan, on a separate thread and loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn

from localqueue.core.errors import ClientError
from localqueue.server import sockets
from localqueue.testing.background_thread import BackgroundThread
from localqueue.testing.late_threads import GRACE_S, interrupt, is_busy
from localqueue.testing.real_time_loop import RealTimeLoop

STOP_S = 5.0
"""How long the lifespan's shutdown may take, in seconds."""


class _Server(uvicorn.Server):
    """A uvicorn server that stops at once; uvicorn's own loop checks every 100 ms."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], stop: asyncio.Event) -> None:
        super().__init__(config)
        self._started = started
        self._stop = stop

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._started()
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await _end(self.server_state.tasks)
        await self.lifespan.shutdown()
        for server in self.servers:
            await server.wait_closed()


class AsgiServer:
    """An ASGI app on a free port, including its lifespan."""

    def __init__(self, app: Any, on_exception: Callable[[BaseException], None]) -> None:
        self._socket = sockets.bind("127.0.0.1", 0)[0]
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._app, self._on_exception = app, on_exception
        self._running: dict[int, str] = {}
        self._cut_off: list[str] = []
        self._lifespan_error: BaseException | None = None
        self._background = BackgroundThread("localqueue-service", self._main, RealTimeLoop)
        try:
            self._background.start()
        except SystemExit:
            self._socket.close()
            error = ClientError("the service under test could not start: its lifespan failed")
            raise error from self._lifespan_error

    def stop(self) -> list[str]:
        """Stop the app and its lifespan, and return the requests that were cut off. Raises what the lifespan raised."""
        try:
            self._background.stop(GRACE_S + STOP_S)
        finally:
            self._socket.close()
        if self._lifespan_error is not None:
            raise self._lifespan_error
        return self._cut_off

    async def _main(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            self._called,
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        await _Server(config, started, stop).serve(sockets=[self._socket])

    async def _called(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self._running[id(scope)] = f"{scope['method']} {scope['path']}"
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            self._cut_off += [self._running[id(scope)]] if id(scope) in self._running else []
            raise
        except Exception as error:
            self._on_exception(error)
            if scope["type"] == "lifespan":
                self._lifespan_error = error
            raise
        finally:
            self._running.pop(id(scope), None)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Let tasks end by themselves for a moment, then cancel them and interrupt the threads that they wait for."""
    if not (running := set(tasks)):
        return
    _, hanging = await asyncio.wait(running, timeout=GRACE_S)
    for task in hanging:
        task.cancel()
    if hanging:
        interrupt(thread.ident for thread in _worker_threads(asyncio.get_running_loop()) if is_busy(thread))
        await asyncio.wait(hanging, timeout=GRACE_S)


def _worker_threads(loop: asyncio.AbstractEventLoop) -> list[threading.Thread]:
    """Return the threads on which asyncio and anyio run blocking functions of this loop."""
    of_asyncio = getattr(getattr(loop, "_default_executor", None), "_threads", ())
    of_anyio = [thread for thread in threading.enumerate() if getattr(thread, "loop", None) is loop]
    return [*of_asyncio, *of_anyio]
