"""A minimal HTTP/1.1 parser for the load generator and the worker."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Messages:
    """Bytes of messages that are not complete yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the head and the body of each message that is complete now."""
        self._buffer += data
        while len(self._buffer) >= self._needed:
            found = self._next()
            if found is None:
                return
            yield found

    def _next(self) -> tuple[bytes, bytes] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        if match := _LENGTH.search(head):
            return self._cut(head, end + 4 + int(match[1]))
        if _CHUNKED.search(head):
            last = self._buffer.find(_LAST_CHUNK, end + 2)
            return None if last < 0 else self._cut(head, last + len(_LAST_CHUNK))
        return self._cut(head, end + 4)

    def _cut(self, head: bytes, size: int) -> tuple[bytes, bytes] | None:
        if len(self._buffer) < size:
            self._needed = size
            return None
        body = bytes(self._buffer[len(head) + 4 : size])
        del self._buffer[:size]
        self._needed = 0
        return head, body


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Return a request with a JSON body."""
    return _message(f"{method} {path} HTTP/1.1\r\nHost: localhost", body)


def response(status: int, body: bytes) -> bytes:
    """Return a response with a JSON body."""
    return _message(f"HTTP/1.1 {status} Status", body)


def _message(start: str, body: bytes) -> bytes:
    head = f"{start}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
