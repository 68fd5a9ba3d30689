"""Call the server's app in its own process: no mock of an HTTP library or of sockets can intercept it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlencode

from localqueue.client.client import Parameters
from localqueue.client.connect import TIMEOUT_S
from localqueue.core.errors import ConnectionBroken

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI app."""
_HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]


class InProcessConnection:
    """A connection to an app that runs on the loop of another thread."""

    def __init__(self, url: str, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._app = app
        self._loop = loop

    def check(self) -> dict[str, Any]:
        """Return the server's status."""
        return dict(json.loads(self.send("GET", "/_localqueue/status", None, {}, 0)[1]))

    def send(
        self, method: str, path: str, content: bytes | None, parameters: Parameters, work_s: float | None
    ) -> tuple[int, bytes]:
        """Return the status and the body of the response. Raises ConnectionBroken if the server has stopped."""
        call = _Call(self._app, _scope(method, path, parameters), content or b"")
        if self._loop.is_closed():
            raise ConnectionBroken(f"the server at {self.url} has stopped")
        future: Future[tuple[int, bytes]] = asyncio.run_coroutine_threadsafe(call.run(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # a test that is interrupted ends its request
            raise

    def stream(
        self, path: str, parameters: Parameters, headers: Mapping[str, str]
    ) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Follow the events over HTTP: only this route has a response without an end."""
        from localqueue.client.http_connection import HttpConnection

        return HttpConnection(self.url, TIMEOUT_S).stream(path, parameters, headers)

    def close(self) -> None:
        """Close nothing: a call within the process needs no connection."""


class _Call:
    """A request to the app and what it responded."""

    def __init__(self, app: App, scope: dict[str, Any], body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        self._status = 0
        self._body = bytearray()

    async def run(self) -> tuple[int, bytes]:
        """Return the status and the body of the response."""
        await self._app(self._scope, self._receive, self._send)
        return self._status, bytes(self._body)

    async def _receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop()
        await asyncio.Event().wait()  # the client stays until it has the response
        raise AssertionError

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        else:
            self._body += message.get("body", b"")


def _scope(method: str, path: str, parameters: Parameters) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": urlencode(parameters).encode("ascii"),
        "root_path": "",
        "headers": _HEADERS,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
