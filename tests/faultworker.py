"""Play a worker that misbehaves: a raw server that does to each request what a script says.

    async with FaultWorker(close(), answer(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")) as worker:
        ...                                  # worker.url, worker.requests, worker.connections

The script is used up over all connections, in the order in which requests come; after it `then` goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PIECE = 64 * 1024


@dataclass
class Received:
    """Hold one request as it came: the bytes of its head, its body, and the number of its connection."""

    head: bytes
    connection: int
    body: bytes = b""

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers with lowercase names; values that came twice are joined."""
        found: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            if line:
                name, _, value = line.partition(":")
                key = name.lower()
                found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
        return found

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """Let a behaviour act on one request: its head is in, its body not before `read_body`."""

    worker: FaultWorker
    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_body(self) -> bytes:
        size = int(self.request.headers.get("content-length", "0"))
        self.request.body = await self.reader.readexactly(size)
        return self.request.body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with a reset instead of an orderly end."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hold(self) -> None:
        """Keep the connection open, silent, until the worker ends or `release` is set."""
        await self.worker.release.wait()


Behaviour = Callable[[Exchange], Awaitable[None]]


def answer(*pieces: bytes, then: str = "keep") -> Behaviour:
    """Read the request, write the pieces, then keep the connection, close it, reset it or hold it silent."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        for piece in pieces:
            await exchange.send(piece)
        await _end(exchange, then)

    return behave


def answer_early(*pieces: bytes, then: str = "close") -> Behaviour:
    """Write the pieces without having read the body."""

    async def behave(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
        await _end(exchange, then)

    return behave


def status(code: int, *headers: str, body: bytes = b"", then: str = "keep") -> Behaviour:
    """Answer with a status, headers and a body of a known length."""
    return answer(response(code, *headers, body=body), then=then)


def response(code: int, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a plain response."""
    lines = [f"HTTP/1.1 {code:03} Text", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def close() -> Behaviour:
    """Read the request and close without a response."""
    return answer(then="close")


def reset() -> Behaviour:
    """Read the request and reset the connection."""
    return answer(then="reset")


def hang() -> Behaviour:
    """Read the request and never answer."""
    return answer(then="hold")


def hang_unread() -> Behaviour:
    """Neither read the body nor answer."""
    return answer_early(then="hold")


def stream(head: bytes, pieces: AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]]) -> Behaviour:
    """Read the request, write a head and as many pieces as the other side takes."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(head)
        async for piece in pieces() if callable(pieces) else pieces:
            await exchange.send(piece)

    return behave


async def _end(exchange: Exchange, then: str) -> None:
    if then == "close":
        exchange.close()
    elif then == "reset":
        exchange.reset()
    elif then == "hold":
        await exchange.hold()


@dataclass
class FaultWorker:
    """Serve on a free port; use it as `async with`. `release` ends every hold."""

    script: list[Behaviour] = field(default_factory=list)
    then: Behaviour = field(default_factory=lambda: answer(OK))
    host: str = "127.0.0.1"
    url_host: str = ""
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __init__(self, *script: Behaviour, **options: Any) -> None:
        self.script = list(script)
        self.then = options.pop("then", answer(OK))
        self.host = options.pop("host", "127.0.0.1")
        self.url_host = options.pop("url_host", f"[{self.host}]" if ":" in self.host else self.host)
        self.tls = options.pop("tls", None)
        assert not options, f"unknown options {options}"
        self.requests, self.connections, self.port = [], 0, 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Condition()
        self.closed = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.url_host}:{self.port}/job"

    async def __aenter__(self) -> FaultWorker:
        self.release = asyncio.Event()
        self._server = await asyncio.start_server(self._accepted, self.host, 0, ssl=self.tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.release.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def wait_closed(self, count: int) -> None:
        """Return once so many connections have been closed, by either side."""
        async with self._closed:
            await self._closed.wait_for(lambda: self.closed >= count)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)
            self.closed += 1
            async with self._closed:
                self._closed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            request = Received(head, number)
            self.requests.append(request)
            behave = self.script.pop(0) if self.script else self.then
            await behave(Exchange(self, request, reader, writer))
        with contextlib.suppress(OSError):
            await writer.wait_closed()
