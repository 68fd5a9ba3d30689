"""Parse one HTTP/1.1 response as its bytes arrive: with httptools if it is installed, otherwise with h11.

Both parsers fill the same few attributes, so whoever reads the response need not know which one runs.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from types import ModuleType

import h11

from localqueue.core.text import safe
from localqueue.delivery.errors import ExchangeError

httptools: ModuleType | None
try:
    import httptools
except ImportError:  # no wheel for this platform: h11 is slower but always installed
    httptools = None

HEAD_LIMIT = 64 * 1024
"""The largest size of a response's headers in bytes, including those of 1xx responses."""
OVERHEAD_LIMIT = 16 * HEAD_LIMIT
"""The largest size of everything except the body, in bytes: headers, chunk sizes, trailers."""
_TLS_RECORDS = (0x15, 0x16)  # alert and handshake; no HTTP response starts with these
_NO_BODY = (204, 304)

Headers = list[tuple[bytes, bytes]]


class ResponseParser(abc.ABC):
    """One response: its final headers, the body that wasn't taken yet, and whether it is complete.

    `status` is 0 until the final head is in. `is_reusable` says whether the connection may carry another
    exchange, once `is_complete`.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.body = bytearray()
        self.is_complete = False
        self.is_reusable = False
        self._is_kept_alive = False
        self._ends_with_connection = False
        self._fed = 0
        self._body_size = 0
        self._looks_like_tls = False

    @abc.abstractmethod
    def _parse(self, data: bytes) -> None:
        """Parse more bytes. Raises ExchangeError."""

    def feed(self, data: bytes) -> None:
        """Parse received bytes. Raises ExchangeError if they aren't a response."""
        if self.is_complete:
            self.is_reusable = False  # bytes that no request asked for
            return
        if not self._fed:
            self._looks_like_tls = data[0] in _TLS_RECORDS
        self._fed += len(data)
        self._parse(data)
        if self._fed - self._body_size > (OVERHEAD_LIMIT if self.status else HEAD_LIMIT):
            raise _too_long()

    def feed_eof(self) -> None:
        """Note the end of the connection. Raises ExchangeError if the response isn't complete."""
        if self.is_complete:
            self.is_reusable = False
        elif not self.status:
            raise ExchangeError("closed_no_response", "the service closed the connection without a response")
        elif self._ends_with_connection:
            self._finish()
        else:
            raise self._cut_short("the connection was closed")

    def feed_reset(self, reason: str, *, is_sending: bool) -> None:
        """Note that the connection was reset. Raises ExchangeError if the response isn't complete.

        Our decision: while the request was still being sent the worker responded early, and then a body that
        ends with the connection counts as complete however the connection ended.
        """
        if self.is_complete or (self._ends_with_connection and is_sending):
            self._finish()
            self.is_reusable = False
        elif self.status:
            raise self._cut_short(f"the connection broke ({reason})")
        else:
            doing = "while the request was being sent" if is_sending else "before a response came"
            raise ExchangeError("connection_reset", f"the service reset the connection {doing} ({reason})")

    def take(self) -> bytes:
        """Return the body that was received since the last call."""
        taken = bytes(self.body)
        self.body.clear()
        return taken

    def _on_head(self, status: int, headers: Headers, is_kept_alive: bool) -> None:
        if status < 100 or status == 101:
            raise ExchangeError("protocol", f"the service responded {status:03}, which wasn't requested")
        if status < 200:
            return
        if sum(len(name) + len(value) + 4 for name, value in headers) > HEAD_LIMIT:
            raise _too_long()
        self.status, self.headers = status, headers
        self._frame({name.lower(): value.lower() for name, value in headers}, is_kept_alive)

    def _frame(self, fields: dict[bytes, bytes], is_kept_alive: bool) -> None:
        """Determine where the body ends, and whether another response can follow it.

        Where a status forbids a body, but the headers announce one, the bytes may come nevertheless: the
        connection is not used again. A 205 without a length has no body, whatever the framing rules say.
        """
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        is_announced = length not in (None, b"0") or coding is not None
        has_no_body = self.status in _NO_BODY
        is_chunked = coding is not None and coding.endswith(b"chunked")
        self._is_kept_alive = is_kept_alive and not (has_no_body and is_announced)
        self._ends_with_connection = not has_no_body and length is None and not is_chunked
        if self.status == 205 and self._ends_with_connection and coding is None:
            self._is_kept_alive = False
            self._finish()

    def _on_body(self, data: bytes) -> None:
        self.body += data
        self._body_size += len(data)

    def _finish(self) -> None:
        self.is_complete, self.is_reusable = True, self._is_kept_alive

    def _garbled(self, reason: object) -> ExchangeError:
        if self.status:
            return self._cut_short(f"its body is not valid HTTP/1.1: {safe(str(reason))}")
        if self._looks_like_tls:
            return ExchangeError("protocol", "the response looks like TLS: use https:// in the target")
        return ExchangeError("protocol", f"the response isn't valid HTTP/1.1: {safe(str(reason))}")

    def _cut_short(self, why: str) -> ExchangeError:
        size = f"{self._body_size} bytes of its body"
        return ExchangeError("broken_response", f"the response ({self.status}) was cut short after {size}: {why}")


class HttptoolsParser(ResponseParser):
    """The parser that uses llhttp, Node's parser; the fast one."""

    def __init__(self) -> None:
        super().__init__()
        assert httptools is not None
        self._fields: Headers = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_headers=True)  # odd bytes in a value are only shown to people

    def _parse(self, data: bytes) -> None:
        assert httptools is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.is_complete:
                self.is_reusable = False
            elif isinstance(error.__context__, ExchangeError):
                raise error.__context__ from None
            else:
                raise self._garbled(error) from None

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.is_reusable = False  # a second response in the same bytes

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        fields, self._fields = self._fields, []
        self._on_head(self._parser.get_status_code(), fields, self._parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._on_body(data)

    def on_message_complete(self) -> None:
        if self.status and not self.is_complete:
            self._finish()


class H11Parser(ResponseParser):
    """The parser in pure Python."""

    def __init__(self) -> None:
        super().__init__()
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        fields = [("Host", "x"), ("Content-Length", "0")]
        self._h11.send(h11.Request(method="POST", target="/", headers=fields))
        self._h11.send(h11.EndOfMessage())

    def _parse(self, data: bytes) -> None:
        self._h11.receive_data(data)
        try:
            while not self.is_complete and self._handle(self._h11.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            raise self._garbled(error) from None

    def _handle(self, event: object) -> bool:
        """Return whether the received bytes may contain more."""
        if isinstance(event, h11.InformationalResponse | h11.Response):
            self._on_head(event.status_code, _pairs(event.headers.raw_items()), is_kept_alive=True)
        elif isinstance(event, h11.Data):
            self._on_body(event.data)
        elif isinstance(event, h11.EndOfMessage):
            is_open = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
            self._is_kept_alive = self._is_kept_alive and is_open
            self._finish()
        return event is not h11.NEED_DATA


DefaultParser: type[ResponseParser] = H11Parser if httptools is None else HttptoolsParser


def _pairs(items: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(bytes(name), bytes(value)) for name, value in items]


def _too_long() -> ExchangeError:
    return ExchangeError("protocol", f"the headers of the response are larger than {HEAD_LIMIT // 1024} KiB")
