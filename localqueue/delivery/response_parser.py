"""What a parser of one HTTP/1.1 response has in common with the others: the framing, the limits and the errors.

Every parser fills the same few attributes, so whoever reads the response need not know which one runs.
"""

from __future__ import annotations

import abc
from typing import ClassVar

from localqueue.core.records import record
from localqueue.core.text import safe
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.transport import Headers

HEAD_LIMIT = 64 * 1024
"""The largest size of a response's headers in bytes, including those of 1xx responses."""
OVERHEAD_LIMIT = 16 * HEAD_LIMIT
"""The largest size of everything except the body, in bytes: headers, chunk sizes, trailers."""
KNOWN_HEAD_LIMIT = 2048
"""The longest head that is remembered, in bytes."""
MAX_KNOWN_HEADS = 256
_TLS_RECORDS = (0x15, 0x16)  # alert and handshake; no HTTP response starts with these
_NO_BODY = (204, 304)


@record
class KnownHead:
    """The result of parsing a head, and the size of the body that follows it, in bytes."""

    status: int
    headers: Headers
    size: int


class ResponseParser(abc.ABC):
    """A response: its final headers, the body that wasn't taken yet, and whether it is complete.

    `status` is 0 until the final head is in. `is_reusable` says whether the connection may carry another
    exchange, once `is_complete`.

    A service usually sends the same head. So the head of a response that came in one piece, and after which the
    connection may be used again, is remembered by its bytes: the same head again, with the rest of its response,
    isn't parsed.
    """

    _known: ClassVar[dict[bytes, KnownHead]]

    def __init_subclass__(cls) -> None:
        cls._known = {}

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
    def _begin(self) -> None:
        """Get ready to parse."""

    @abc.abstractmethod
    def _parse(self, data: bytes) -> None:
        """Parse more bytes. Raises ExchangeError."""

    def feed(self, data: bytes) -> None:
        """Parse received bytes. Raises ExchangeError if they aren't a response."""
        if self.is_complete:
            self.is_reusable = False  # bytes that no request asked for
            return
        if self._fed:
            self._parse_more(data)
        elif not self._is_known(data):
            self._looks_like_tls = data[0] in _TLS_RECORDS
            self._begin()
            self._parse_more(data)
            self._learn(data)

    def _parse_more(self, data: bytes) -> None:
        self._fed += len(data)
        self._parse(data)
        if self._fed - self._body_size > (OVERHEAD_LIMIT if self.status else HEAD_LIMIT):
            raise head_too_large()

    def _is_known(self, data: bytes) -> bool:
        """Complete the response if it has a known head and came in one piece; return whether it did."""
        end = data.find(b"\r\n\r\n", 0, KNOWN_HEAD_LIMIT) + 4
        known = self._known.get(data[:end])
        if known is None or known.size != len(data) - end:
            return False
        self.status, self.headers = known.status, known.headers
        self.body += data[end:]
        self.is_complete = self.is_reusable = True
        return True

    def _learn(self, data: bytes) -> None:
        """Remember the head of a response that came in one piece, if the connection can be used again."""
        end = data.find(b"\r\n\r\n", 0, KNOWN_HEAD_LIMIT) + 4
        if self.is_complete and self.is_reusable and end >= 4 and self._body_size == len(data) - end:
            if len(self._known) >= MAX_KNOWN_HEADS:
                self._known.clear()
            self._known[data[:end]] = KnownHead(self.status, self.headers, self._body_size)

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
        if size_of(headers) > HEAD_LIMIT:
            raise head_too_large()
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


def size_of(headers: Headers) -> int:
    """Return how many bytes headers take in a response."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def head_too_large() -> ExchangeError:
    """Return the error for a response whose headers exceed HEAD_LIMIT."""
    return ExchangeError("protocol", f"the headers of the response are larger than {HEAD_LIMIT // 1024} KiB")
