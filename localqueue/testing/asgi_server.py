"""Run an ASGI app, including its lifespan, on a separate thread and loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from localqueue.core.errors import ClientError
from localqueue.server import sockets
from localqueue.server.prompt_server import PromptServer
from localqueue.testing.background_thread import BackgroundThread
from localqueue.testing.late_threads import GRACE_S, interrupt, is_busy
from localqueue.testing.real_time_loop import RealTimeLoop

STOP_S = 5.0
"""How long the lifespan's shutdown may take, in seconds."""


class _Server(PromptServer):
    """The server of an app under test."""

    async def end_requests(self) -> None:
        """Let handlers end by themselves for a moment, then cancel them and interrupt the threads they wait for."""
        if not (running := set(self.server_state.tasks)):
            return
        _, hanging = await asyncio.wait(running, timeout=GRACE_S)
        for task in hanging:
            task.cancel()
        if hanging:
            threads = _worker_threads(asyncio.get_running_loop())
            interrupt(thread.ident for thread in threads if is_busy(thread))
            await asyncio.wait(hanging, timeout=GRACE_S)


class AsgiServer:
    """An ASGI app on a free port, including its lifespan."""

    def __init__(self, app: Any, on_exception: Callable[[BaseException], None]) -> None:
        self._socket = sockets.bind("127.0.0.1", 0)[0]
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._app, self._on_exception = app, on_exception
        self._cut_off: list[str] = []
        self._is_in_shutdown = False
        self._startup_error: Exception | None = None
        self._shutdown_error: Exception | None = None
        self._background = BackgroundThread("localqueue-service", self._main, RealTimeLoop)
        try:
            self._background.start()
        except SystemExit:
            self._socket.close()
            error = ClientError("the service under test could not start: its lifespan failed")
            raise error from self._startup_error

    def stop(self) -> list[str]:
        """Stop the app and its lifespan, and return the requests that were cut off. Raises what the lifespan raised."""
        try:
            self._background.stop(GRACE_S + STOP_S)
        finally:
            self._socket.close()
        if self._shutdown_error is not None:
            raise self._shutdown_error
        hanging = ["the shutdown of the service's lifespan"] if self._background.is_alive else []
        return self._cut_off + hanging

    async def _main(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            self._called,
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        server = _Server(config, started)
        stopping = asyncio.create_task(_stop_after(stop, server))
        try:
            await server.serve(sockets=[self._socket])
        finally:
            stopping.cancel()

    async def _called(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        name = f"{scope.get('method', scope['type'])} {scope['path']}"
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            self._cut_off.append(name)
            raise
        except Exception as error:
            self._on_exception(error)
            raise

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the lifespan; an app without one raises at once, and that is fine."""

        async def received() -> Any:
            message = await receive()
            self._is_in_shutdown = message["type"] == "lifespan.shutdown"
            return message

        try:
            await self._app(scope, received, send)
        except Exception as error:
            self._startup_error, self._shutdown_error = (None, error) if self._is_in_shutdown else (error, None)
            raise


async def _stop_after(stop: asyncio.Event, server: _Server) -> None:
    await stop.wait()
    server.stop()


def _worker_threads(loop: asyncio.AbstractEventLoop) -> list[threading.Thread]:
    """Return the threads on which asyncio and anyio run blocking functions of this loop."""
    of_asyncio = getattr(getattr(loop, "_default_executor", None), "_threads", ())
    of_anyio = [thread for thread in threading.enumerate() if getattr(thread, "loop", None) is loop]
    return [*of_asyncio, *of_anyio]
