"""Run a server whose event loop is probed, and send it bytes."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.forking import ForkedProbed
from tests.probe import VARIABLE, Notes
from tests.support import JSON, WAIT_S, Server, serving, until


class Watched:
    """A server, and the longest step of its event loop so far, with what was going on."""

    def __init__(self, server: Server, notes: Notes) -> None:
        self.server = server
        self.longest_ms = 0.0
        self.during = ""
        self._notes = notes
        self._address = str(urlsplit(server.url).hostname), int(urlsplit(server.url).port or 0)

    def look(self, name: str) -> None:
        """Take in what the probe has noted since the last look; the latest step may still be running."""
        longest_ms = self._notes.read()[1]
        if longest_ms > self.longest_ms:
            self.longest_ms, self.during = longest_ms, name

    def settle(self, name: str) -> None:
        """Take in the step that is running, too."""
        looks = self._notes.read()[0]
        until(lambda: self._notes.read()[0] > looks + 1, "the probe has looked twice")
        self.look(name)

    def check(self, limit_ms: float) -> str:
        """Return what the longest step was; it must be shorter than this."""
        found = f"a step of {self.longest_ms:.1f} ms during: {self.during}"
        assert self.longest_ms < limit_ms, found
        return found

    def send(self, name: str, request: bytes) -> int:
        """Send the bytes of a request on a connection of its own; return the status, 0 if there was no response."""
        with socket.create_connection(self._address, WAIT_S) as connection:
            response = http.client.HTTPResponse(connection)
            with contextlib.suppress(ConnectionError):
                connection.sendall(request)
            try:
                response.begin()
                if response.headers["Content-Type"] != "text/event-stream; charset=utf-8":
                    response.read()
            except (ConnectionError, http.client.HTTPException):
                return 0
            finally:
                response.close()
        self.look(name)
        return response.status

    def connected(self) -> http.client.HTTPConnection:
        """Return a connection for many requests."""
        return http.client.HTTPConnection(*self._address, timeout=WAIT_S)


def post(connection: http.client.HTTPConnection, body: bytes, path: str = "/jobs") -> tuple[int, bytes]:
    """Send one of many requests; return status and body of the response."""
    connection.request("POST", path, body, JSON)
    response = connection.getresponse()
    return response.status, response.read()


@contextlib.contextmanager
def watching(folder: Path, *options: str) -> Iterator[Watched]:
    """Run `localqueue up` with a probe."""
    path = folder / "probe"
    notes = Notes.create(path)
    with serving(folder, *options, env={VARIABLE: str(path)}, program=ForkedProbed) as server:
        yield Watched(server, notes)
