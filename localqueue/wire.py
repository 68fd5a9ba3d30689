"""Carry one HTTP/1.1 exchange at a time over one connection of our own, kept alive for a moment."""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import AsyncIterator
from typing import Any, cast

import h11
import httpx

IDLE_S = 1.0
"""How long an idle connection is kept: shorter than any server does (gunicorn 2 s, Node 5 s)."""
MARGIN_S = 0.5
"""By how much we are earlier than a `Keep-Alive: timeout` that the server announces."""
HEAD_LIMIT = 64 * 1024
READ_LIMIT = 64 * 1024
_KEEP_ALIVE = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_TLS = (b"\x15\x03", b"\x16\x03")


class WireError(httpx.TransportError):
    """Say why an exchange failed, with the stable code that the attempt records."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Connection(asyncio.Protocol):
    """Hold what has come and not been read, also after the connection was lost."""

    def __init__(self) -> None:
        self.is_lost = False
        self.error: Exception | None = None
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has come or is about to: neither bytes nor the end."""
        return not (self.is_lost or self._buffer or self.transport.is_closing() or self._has_input())

    def _has_input(self) -> bool:
        """Ask the kernel: the end of the file may be there before the loop has seen it."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def read(self) -> bytes:
        """Return what has come, b"" at the end. Raises WireError when the connection was reset."""
        while not self._buffer and not self.is_lost:
            self._news.clear()
            await self._news.wait()
        found = bytes(self._buffer)
        self._buffer.clear()
        if not self.is_lost:
            self.transport.resume_reading()
        if not found and self.error is not None:
            raise WireError("connection_reset", f"the connection broke: {self.error}")
        return found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= READ_LIMIT:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        return False  # close

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost, self.error = True, exc
        self._news.set()


class WireTransport(httpx.AsyncBaseTransport):
    """Send plain `http://` requests over one connection; never two at a time."""

    def __init__(self) -> None:
        self._connection: _Connection | None = None
        self._parser = h11.Connection(h11.CLIENT)
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_s = IDLE_S
        self._head_came = False
        self._is_connecting = False
        self._last_phase = "connect"

    @property
    def phase(self) -> str:
        """Return what the exchange is doing: connect, send, wait (for the head) or read (the body)."""
        if self._is_connecting:
            return "connect"
        if self._connection is None:
            return self._last_phase
        if not self._connection.is_lost and self._connection.transport.get_write_buffer_size():
            return "send"
        return "read" if self._head_came else "wait"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, the body still to be read. Raises WireError."""
        self._stop_idle_timer()
        self._head_came, self._last_phase = False, "connect"
        body = await request.aread()
        connection = await self._ready(request)
        if not self._write(connection, request, body):  # nothing of it was sent: the connection was dead
            self._drop()
            connection = await self._ready(request)
            self._write(connection, request, body)
        head = await self._read_head(connection)
        self._head_came = True
        self._idle_s = _idle_time(head)
        return httpx.Response(head.status_code, headers=list(head.headers), stream=_Body(self, connection))

    async def aclose(self) -> None:
        """Close the connection."""
        self._stop_idle_timer()
        self._drop()

    async def _ready(self, request: httpx.Request) -> _Connection:
        if self._connection is not None and self._connection.is_quiet:
            self._parser.start_next_cycle()
            return self._connection
        self._drop()
        self._is_connecting = True
        try:
            self._connection = await _connect(request.url.host, request.url.port or 80)
        finally:
            self._is_connecting = False
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        return self._connection

    def _write(self, connection: _Connection, request: httpx.Request, body: bytes) -> bool:
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        parts = [
            self._parser.send(head),
            self._parser.send(h11.Data(body)),
            self._parser.send(h11.EndOfMessage()),
        ]
        # Not awaited: a worker may answer before it has read everything.
        connection.transport.write(b"".join(part for part in parts if part))
        return not connection.transport.is_closing()

    async def _read_head(self, connection: _Connection) -> h11.Response:
        while True:
            event = await self.next_event(connection)
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue
            raise WireError("protocol", "the service answered 101, which nobody asked for")

    async def next_event(self, connection: _Connection) -> Any:
        """Return the parser's next event, reading as much as it takes."""
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                raise self._explained(error) from None
            if event is not h11.NEED_DATA:
                return event
            data = await connection.read()
            if not data and not self._head_came:
                raise WireError("closed_no_response", "the service closed the connection without a response")
            if data.startswith(_TLS) and not self._head_came:
                raise WireError("protocol", "the answer looks like TLS: use https:// in the target")
            self._parser.receive_data(data)

    def _explained(self, error: h11.RemoteProtocolError) -> WireError:
        if self._head_came:
            return WireError("broken_response", f"the response ended before it was complete: {error}")
        return WireError("protocol", f"the answer is not HTTP/1.1: {error}")

    def release(self, connection: _Connection) -> None:
        """Keep the connection for the next exchange if both sides are done with this one."""
        states = (self._parser.our_state, self._parser.their_state)
        is_done = states == (h11.DONE, h11.DONE) and not self._parser.trailing_data[0]
        if connection is not self._connection or not is_done or connection.is_lost or self._idle_s <= 0:
            self._drop()
        else:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._drop)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _drop(self) -> None:
        self._last_phase = self.phase
        if self._connection is not None and not self._connection.is_lost:
            self._connection.transport.abort()
        self._connection = None


class _Body(httpx.AsyncByteStream):
    """Read the body as it comes; closing it decides whether the connection is kept."""

    def __init__(self, transport: WireTransport, connection: _Connection) -> None:
        self._transport = transport
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._transport.next_event(self._connection)
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    async def aclose(self) -> None:
        self._transport.release(self._connection)


def _idle_time(head: h11.Response) -> float:
    for name, value in head.headers:
        match = _KEEP_ALIVE.search(value) if name == b"keep-alive" else None
        if match:
            return min(IDLE_S, int(match[1]) - MARGIN_S)
    return IDLE_S


async def _connect(host: str, port: int) -> _Connection:
    loop = asyncio.get_running_loop()
    refused: OSError | None = None
    for address in ("127.0.0.1", "::1") if host.lower() == "localhost" else (host,):
        try:
            _, connection = await loop.create_connection(_Connection, address, port)
            return connection
        except OSError as error:
            if refused is None or isinstance(error, ConnectionRefusedError):
                refused = error
    assert refused is not None
    raise await _why_not(host, port, refused)


async def _why_not(host: str, port: int, error: OSError) -> WireError:
    if not isinstance(error, ConnectionRefusedError) and "Connect call failed" not in str(error):
        return WireError("connect_failed", f"can't connect to {host}:{port}: {error.strerror or error}")
    message = f"nothing listens on {host}:{port}; is the service running?"
    other = {"127.0.0.1": "::1", "::1": "127.0.0.1"}.get(host)
    if other is not None and await _listens(other, port):
        message = f"nothing listens on {host}:{port}, but {other} does: use localhost in the target"
    return WireError("connect_refused", message)


async def _listens(address: str, port: int) -> bool:
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(_Connection, address, port)
    except OSError:
        return False
    transport.abort()
    return True
