"""Run the service under test: an ASGI app on a separate thread and loop, a WSGI app on threads."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Protocol

from localqueue.core.errors import ClientError
from localqueue.testing.asgi_server import AsgiServer
from localqueue.testing.wsgi_server import WsgiServer

OnException = Callable[[BaseException], None]


class AppServer(Protocol):
    """A running app."""

    url: str

    def stop(self) -> list[str]:
        """Stop it, and return the requests whose handlers were cut off. Raises what its lifespan raised."""


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


class ExceptionLog(logging.Handler):
    """A log handler for exceptions that a framework turns into a 500 and logs, as Flask and Django do."""

    def __init__(self, on_exception: OnException) -> None:
        super().__init__(logging.ERROR)
        self._on_exception = on_exception

    def emit(self, record: logging.LogRecord) -> None:
        """Report an exception."""
        if record.exc_info and record.exc_info[1] is not None and not record.name.startswith("uvicorn"):
            self._on_exception(record.exc_info[1])
