"""Run the service under test: an ASGI app on a separate thread and loop, a WSGI app on threads."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import socket
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn

from localqueue.core.errors import ClientError
from localqueue.server import sockets
from localqueue.testing.background_thread import BackgroundThread

OnException = Callable[[BaseException], None]
POLL_S = 0.005
STOP_S = 2.0


class AppServer(Protocol):
    """A running app."""

    url: str

    def stop(self) -> None:
        """Stop it."""


def start_app(app: Any, on_exception: OnException) -> AppServer:
    """Run an app; `on_exception` gets every exception in it. Raises ClientError."""
    return AsgiServer(app, on_exception) if is_asgi(app) else WsgiServer(app, on_exception)


def is_asgi(app: Any) -> bool:
    """Return whether an app is called as app(scope, receive, send), not as app(environ, start_response)."""
    if not callable(app):
        raise ClientError(f"serve() needs an ASGI or WSGI app, not {type(app).__name__}")
    called = app if inspect.isroutine(app) else type(app).__call__
    if inspect.iscoroutinefunction(called):
        return True
    try:
        return len(inspect.signature(app).parameters) == 3
    except (TypeError, ValueError):
        return False


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
        if self.server_state.tasks:
            _, hanging = await asyncio.wait(self.server_state.tasks, timeout=STOP_S)
            for task in hanging:
                task.cancel()
        await self.lifespan.shutdown()
        for server in self.servers:
            await server.wait_closed()


class AsgiServer:
    """An ASGI app on a free port, including its lifespan."""

    def __init__(self, app: Any, on_exception: OnException) -> None:
        self._socket = sockets.bind("127.0.0.1", 0)[0]
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._app, self._on_exception = app, on_exception
        self._background = BackgroundThread("localqueue-service", self._main)
        try:
            self._background.start()
        except SystemExit:
            self._socket.close()
            raise ClientError("the service under test could not start: its lifespan failed") from None

    def stop(self) -> None:
        """Stop the app and its lifespan."""
        try:
            self._background.stop()
        finally:
            self._socket.close()

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
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self._on_exception(error)
            raise


class WsgiServer:
    """A WSGI app on a free port, with a thread for each request."""

    def __init__(self, app: Any, on_exception: OnException) -> None:
        self._app, self._on_exception = app, on_exception
        self._server = _WsgiServer(("127.0.0.1", 0), _QuietHandler)
        self._server.set_app(self._called)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="localqueue-service", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the app; a hanging request is abandoned after a while."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for thread in self._server.running:
            thread.join(STOP_S)

    def _called(self, environ: Any, start_response: Any) -> Any:
        try:
            return self._app(environ, start_response)
        except Exception as error:
            self._on_exception(error)
            raise


class _WsgiServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.running: list[threading.Thread] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.running = [thread for thread in self.running if thread.is_alive()]
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self.running.append(thread)
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: exceptions of the app are reported, and a queue may disconnect at any time."""


class _QuietHandler(WSGIRequestHandler):
    def get_stderr(self) -> Any:
        return io.StringIO()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class ExceptionLog(logging.Handler):
    """A log handler for exceptions that a framework turns into a 500 and logs, as Flask and Django do."""

    def __init__(self, on_exception: OnException) -> None:
        super().__init__(logging.ERROR)
        self._on_exception = on_exception

    def emit(self, record: logging.LogRecord) -> None:
        """Report an exception."""
        if record.exc_info and record.exc_info[1] is not None and not record.name.startswith("uvicorn"):
            self._on_exception(record.exc_info[1])
