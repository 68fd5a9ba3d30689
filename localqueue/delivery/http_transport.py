"""Send plain HTTP/1.1 requests over one connection, one at a time, kept alive for a moment."""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from typing import TYPE_CHECKING, cast

from localqueue.delivery import tcp_connect
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.response_parser import ResponseParser
from localqueue.delivery.transport import Headers
from localqueue.delivery.url import Url

if TYPE_CHECKING:
    DefaultParser: type[ResponseParser]
else:
    try:
        from localqueue.delivery.httptools_parser import HttptoolsParser as DefaultParser
    except ImportError:  # no wheel for this platform: h11 is slower but always installed
        from localqueue.delivery.h11_parser import H11Parser as DefaultParser

IDLE_S = 1.0
"""How long an idle connection is kept, in seconds: shorter than servers do (gunicorn 2 s, Node 5 s)."""
MARGIN_S = 0.5
"""How many seconds before the server's `Keep-Alive: timeout` the connection is closed."""
READ_LIMIT = 64 * 1024
"""How many bytes of a body may wait before reading pauses."""
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """A connection that feeds received bytes to the current exchange; between exchanges no bytes may arrive.

    The socket is ours as well as the loop's. Writing starts on it directly, because that alone tells for sure
    whether any of a request was handed over; looking ahead on it sees an end that the loop has not seen yet.
    """

    def __init__(self, opened: socket.socket) -> None:
        self.is_lost = False
        self.is_sending = False
        self._socket = opened
        self._is_paused = False
        self._parser: ResponseParser | None = None
        self._failure: ExchangeError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    # called by the transport

    @property
    def is_quiet(self) -> bool:
        """Return whether neither bytes nor the end of the stream were received or wait in the kernel."""
        if self.is_lost:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def start(self, parser: ResponseParser, message: bytes) -> bool:
        """Send a request and parse its response; return False if none of it could be sent."""
        self._parser = parser
        try:
            sent = self._socket.send(message)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.is_sending = True  # forever; an early response may still be readable
            return False
        if sent < len(message):
            self._open_transport.write(message[sent:])
        return True

    async def head(self) -> None:
        """Return once the final headers have been received. Raises ExchangeError."""
        parser = self._active_parser
        while not parser.status:
            await self._progress()

    async def read(self) -> bytes:
        """Return more of the body, b"" at its end. Raises ExchangeError."""
        parser = self._active_parser
        while not parser.body and not parser.is_complete:
            await self._progress()
        data = parser.take()
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self._open_transport.resume_reading()
        return data

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be reused."""
        parser, self._parser = self._active_parser, None
        return parser.is_complete and parser.is_reusable and not self.is_sending and not self.is_lost

    def close(self) -> None:
        """Close the connection at once and read nothing more."""
        self._parser = None
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None and not self.is_lost:
            self._transport.abort()

    @property
    def _active_parser(self) -> ResponseParser:
        assert self._parser is not None
        return self._parser

    @property
    def _open_transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    async def _progress(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # so that pause and resume tell when everything is written

    def pause_writing(self) -> None:
        self.is_sending = True

    def resume_writing(self) -> None:
        self.is_sending = False

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self._abort()  # bytes that no request asked for
            return
        self._feed(self._parser, data)
        if len(self._parser.body) >= READ_LIMIT and not self._is_paused:
            self._is_paused = True
            self._open_transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        if self._parser is not None and self._failure is None:
            try:
                self._parser.feed_eof()
            except ExchangeError as error:
                self._failure = error
            self._wake()
        return False  # close

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._parser is not None and self._failure is None:
            self._drain(self._parser)
            try:
                self._parser.feed_reset(str(exc or "closed"), is_sending=self.is_sending)
            except ExchangeError as error:
                self._failure = self._failure or error
            self._wake()

    def _feed(self, parser: ResponseParser, data: bytes) -> None:
        try:
            parser.feed(data)
        except ExchangeError as error:
            self._failure = error
            self._abort()

    def _drain(self, parser: ResponseParser) -> None:
        """Read what was received before the connection broke; a failed write ends it, with or without a response."""
        try:
            while self._failure is None and not parser.is_complete and len(parser.body) < READ_LIMIT:
                data = self._socket.recv(READ_LIMIT)
                if not data:
                    return
                self._feed(parser, data)
        except OSError:
            return

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class HttpTransport:
    """A transport for `http://` requests to one origin, over one connection, one at a time."""

    def __init__(self, make_parser: type[ResponseParser] = DefaultParser) -> None:
        self._make_parser = make_parser
        self._connection: Connection | None = None
        self._phase = "connect"
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until = 0.0
        self._is_idle = False

    @property
    def phase(self) -> str:
        """Return the phase of the exchange: connect, send, wait (for the headers) or read (the body)."""
        self._note_sent()
        return self._phase

    async def send(self, url: Url, headers: Headers, body: bytes) -> _Response:
        """Send a POST request and return its response, whose body isn't read yet. Raises ExchangeError."""
        message = _head(url.target, tuple(headers)) + body
        parser = self._make_parser()
        try:
            connection = await self._send(url, parser, message)
            self._phase = "send"
            await connection.head()
        except BaseException:
            self._note_sent()
            self.drop()
            raise
        self._phase = "read"
        return _Response(self, connection, parser)

    async def aclose(self) -> None:
        """Close the connection."""
        self.drop()

    async def _send(self, url: Url, parser: ResponseParser, message: bytes) -> Connection:
        """Send the message over the idle connection, or a new one.

        Rule deliver.keep-alive: it is sent a second time only if not one byte of it could be handed to the
        idle connection. On a new one a failure shows where the response is read: that may have come early.
        """
        connection, self._phase = self._wake_up(), "connect"
        if connection is None or not connection.start(parser, message):
            self.drop()
            connection = self._connection = await _connect(url)
            connection.start(parser, message)
        return connection

    def _wake_up(self) -> Connection | None:
        """Return the idle connection if it can certainly be used."""
        is_due = self._is_idle and asyncio.get_running_loop().time() < self._idle_until
        self._is_idle = False
        if self._connection is not None and is_due and self._connection.is_quiet:
            return self._connection
        return None

    def release(self, connection: Connection, headers: Headers) -> None:
        """Keep the connection for the next exchange if this one is complete on both sides."""
        idle_s = _idle_time(headers)
        if connection is not self._connection or not connection.finish() or idle_s <= 0:
            self.drop()
            return
        loop = asyncio.get_running_loop()
        self._is_idle, self._idle_until = True, loop.time() + idle_s
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(idle_s, self._expire)

    def _expire(self) -> None:
        """Drop a connection that was idle for too long; one timer serves many exchanges."""
        self._idle_timer = None
        if not self._is_idle:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._idle_until:
            self._idle_timer = loop.call_at(self._idle_until, self._expire)
        else:
            self.drop()

    def drop(self) -> None:
        """Close the connection at once; the next exchange opens a new one."""
        self._is_idle = False
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note_sent(self) -> None:
        if self._phase == "send" and self._connection is not None and not self._connection.is_sending:
            self._phase = "wait"


class _Response:
    """A response as it arrives; closing it decides whether the connection is kept."""

    def __init__(self, transport: HttpTransport, connection: Connection, parser: ResponseParser) -> None:
        self._transport = transport
        self._connection = connection
        self._parser = parser
        self._is_closed = False
        self.status = parser.status
        self.headers = parser.headers

    @property
    def is_at_end(self) -> bool:
        """Return whether the whole body has been read."""
        return self._parser.is_complete and not self._parser.body

    async def read(self) -> bytes:
        """Return more of the body, b"" at its end. Raises ExchangeError."""
        return await self._connection.read()

    async def aclose(self) -> None:
        """Keep the connection if the exchange is complete, otherwise close it."""
        if not self._is_closed:
            self._is_closed = True
            self._transport.release(self._connection, self.headers)


@functools.lru_cache(maxsize=1024)
def _head(target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the head of a request; most deliveries of a queue share it."""
    lines = [b"POST %b HTTP/1.1" % target]
    lines += [b"%b: %b" % header for header in headers]
    head = b"\r\n".join(lines)
    if b"\0" in head or not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
        raise ExchangeError("protocol", "a header of the request contains a line break")
    return head + b"\r\n\r\n"


async def _connect(url: Url) -> Connection:
    opened = await tcp_connect.connect(url.host, url.port)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(opened), sock=opened)
    return connection


def _idle_time(headers: Headers) -> float:
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"keep-alive" and (match := _KEEP_ALIVE_TIMEOUT.search(value)):
            return min(IDLE_S, int(match[1]) - MARGIN_S)
    return IDLE_S
