"""Play a worker that misbehaves: a raw server that does to each request what a script says.

    async with FaultWorker(close(), answer(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")) as worker:
        ...                                  # worker.url, worker.requests, worker.connections

The script is used up over all connections, in the order in which requests come; after it `then` continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
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
    """Let a behavior act on one request: its head is in, its body not before `read_body`."""

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


Behavior = Callable[[Exchange], Awaitable[None]]


def answer(*pieces: bytes, then: str = "keep") -> Behavior:
    """Read the request, write the pieces, then keep the connection, close it, reset it or hold it silent."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        for piece in pieces:
            await exchange.send(piece)
        await _end(exchange, then)

    return behave


def answer_early(*pieces: bytes, then: str = "close") -> Behavior:
    """Write the pieces without having read the body."""

    async def behave(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
        await _end(exchange, then)

    return behave


def status(code: int, *headers: str, body: bytes = b"", then: str = "keep") -> Behavior:
    """Answer with a status, headers and a body of a known length."""
    return answer(response(code, *headers, body=body), then=then)


def response(code: int, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a plain response."""
    lines = [f"HTTP/1.1 {code:03} Text", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def close() -> Behavior:
    """Read the request and close without a response."""
    return answer(then="close")


def reset() -> Behavior:
    """Read the request and reset the connection."""
    return answer(then="reset")


def hang() -> Behavior:
    """Read the request and never answer."""
    return answer(then="hold")


def hang_unread() -> Behavior:
    """Neither read the body nor answer."""
    return answer_early(then="hold")


def stream(head: bytes, pieces: Iterable[bytes]) -> Behavior:
    """Read the request, write a head and as many pieces as the other side takes."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(head)
        for piece in pieces:
            await exchange.send(piece)

    return behave


async def _end(exchange: Exchange, then: str) -> None:
    if then == "close":
        exchange.close()
    elif then == "reset":
        exchange.reset()
    elif then == "hold":
        await exchange.hold()


class FaultWorker:
    """Serve on a free port where none is given; use it as `async with`. `release` ends every hold."""

    def __init__(
        self,
        *script: Behavior,
        then: Behavior | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        url_host: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script = list(script)
        self.then = then or answer(OK)
        self.requests: list[Received] = []
        self.connections = self.closed = 0
        self.port = port
        self.release = asyncio.Event()
        self._host = host
        self._url_host = url_host or (f"[{host}]" if ":" in host else host)
        self._tls = tls
        self._accepted: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._url_host}:{self.port}/job"

    async def __aenter__(self) -> FaultWorker:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.create_server((self._host, self.port), family=family)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in (*self._accepted, self._listener):
            each.close()  # no transport may have got hold of it

    def let_go(self) -> None:
        """End the holds so far."""
        self.release.set()
        self.release = asyncio.Event()

    async def wait_closed(self, count: int) -> None:
        """Return once so many connections have been closed, by either side."""
        await self._wait_until(lambda: self.closed >= count)

    async def wait_requests(self, count: int) -> None:
        """Return once the heads of so many requests have come."""
        await self._wait_until(lambda: len(self.requests) >= count)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._accepted.append(accepted)
            self.connections += 1
            self._start(self._carry(accepted, self.connections))

    async def _carry(self, accepted: socket.socket, number: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)
        except OSError:  # no TLS
            accepted.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        with contextlib.suppress(OSError, EOFError):  # the other side has gone
            try:
                await self._serve(reader, writer, number)
            finally:
                transport.abort()
                await writer.wait_closed()
        self.closed += 1
        await self._notify()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            request = Received(head, number)
            self.requests.append(request)
            await self._notify()
            behave = self.script.pop(0) if self.script else self.then
            await behave(Exchange(self, request, reader, writer))
        with contextlib.suppress(OSError):
            await writer.wait_closed()
