"""Requests that the security checks must refuse, by what is wrong with them: the tests and the campaign share them."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import Any

BODY = b'{"namespace":"shop","queue":"other"}'

FOREIGN_HOSTS = [
    "evil.example", "localhost.evil.example", "sub.localhost", "localhost.", "127.1", "0.0.0.0", "2130706433",
    "user@localhost", "localhost:evil", "[::1", "[::2]", "127.0.0.1.evil.example", "", "localhost,evil.example",
]  # fmt: skip
FOREIGN_ORIGINS = [
    "Origin: http://evil.example", "Origin: null", "Origin: https://localhost", "Origin: http://127.0.0.1",
    "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
]  # fmt: skip
OTHER_TYPES = [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=latin-1",
]  # fmt: skip
CHANGING_METHODS = ["POST", "PUT", "PATCH", "DELETE"]
OTHER_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "post"]
OTHER_TARGETS = [
    "/_localqueue/../../etc/passwd", "/_localqueue/static/%2e%2e/%2e%2e/etc/passwd", "/_localqueue/static/..%5cjobs",
    "/_localqueue/static/%00", "//etc/passwd", "/jobs/", "/jobs/..", "/JOBS", "http://evil.example/jobs",
    "http://evil.example:80/_localqueue/jobs", "jobs", "*",
]  # fmt: skip
LARGE_HEADER = f"X: {'x' * 17_000}"
LARGE_TARGET = f"/{'x' * 9000}"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request that would be accepted as it is; None leaves out a header, `framing` replaces Content-Length."""

    method: str = "POST"
    target: str = "/jobs"
    host: str | None = "localhost"
    content_type: str | None = "application/json"
    headers: tuple[str, ...] = ("Connection: close",)
    body: bytes = BODY
    framing: tuple[str, ...] | None = None

    def __bytes__(self) -> bytes:
        """Return what is sent."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *self.headers]
        lines += [] if self.host is None else [f"Host: {self.host}"]
        lines += [] if self.content_type is None else [f"Content-Type: {self.content_type}"]
        lines += (f"Content-Length: {len(self.body)}",) if self.framing is None else self.framing
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


SMUGGLED = bytes(RawRequest())
"""A whole request within or behind the body of another one: it must never be read as a request."""
_SIZE = f"Content-Length: {len(SMUGGLED)}"
_CHUNKED = "Transfer-Encoding: chunked"
WRONG_FRAMINGS = [
    ((_SIZE, _CHUNKED), b"0\r\n\r\n" + SMUGGLED),
    ((_CHUNKED, "Content-Length: 5"), b"0\r\n\r\n" + SMUGGLED),
    ((_CHUNKED, _SIZE), SMUGGLED),
    (("Content-Length: 0", _SIZE), SMUGGLED),
    ((_SIZE, "Content-Length: 0"), SMUGGLED),
    ((f"Content-Length: 0, {len(SMUGGLED)}",), SMUGGLED),
    *(((f"Content-Length: {text}",), SMUGGLED) for text in ("+0", "-1", "0x0", "0 0", "", "1e1", "9" * 30)),
    *(((f"Transfer-Encoding: {text}",), SMUGGLED) for text in ("identity", "xchunked", "chunked, gzip", "\x0bchunked")),
    ((_CHUNKED, "Transfer-Encoding: identity"), b"0\r\n\r\n" + SMUGGLED),
    (("Transfer-Encoding : chunked",), b"0\r\n\r\n" + SMUGGLED),
    ((_SIZE, "Transfer-Encoding: gzip"), SMUGGLED),
    *(((_CHUNKED,), text + b"\r\n" + SMUGGLED) for text in (b"zz", b"-1", b"0x0", b"")),
    (("Content-Length: 0\x00",), SMUGGLED),
    (("X\x00: 1", "Content-Length: 0"), SMUGGLED),
    (("X Y: 1", "Content-Length: 0"), SMUGGLED),
]  # fmt: skip
"""Headers that say where a body ends in no clear way, and what follows them."""

READING = RawRequest("GET", "/_localqueue/jobs", content_type=None, body=b"", framing=())
Fault = dict[str, Any]
FAULTS: dict[str, list[Fault]] = {
    "host": [*({"host": host} for host in FOREIGN_HOSTS), {"host": None}, {"headers": ("Host: localhost",)}],
    "origin": [{"headers": (header,)} for header in FOREIGN_ORIGINS],
    "size": [{"headers": (LARGE_HEADER,)}, {"target": LARGE_TARGET}],
    "target": [{"target": target} for target in OTHER_TARGETS],
    "type": [*({"content_type": kind} for kind in OTHER_TYPES), {"content_type": None}],
    "method": [{"method": method} for method in OTHER_METHODS],
    "framing": [{"framing": headers, "body": body} for headers, body in WRONG_FRAMINGS],
}
"""What is wrong with a request, by kind; one fault is enough to refuse it."""
FAULTS_OF_READS = ("host", "origin", "size", "target")


def with_fault(request: RawRequest, fault: Fault) -> RawRequest:
    """Return a request with one more fault."""
    headers = (*request.headers, *fault.get("headers", ()))
    return replace(request, **{**fault, "headers": headers})


def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, and return what comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received
