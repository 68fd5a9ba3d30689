"""What a service does to a request, and what the attempt is recorded as: one list for the tests and the campaign."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from localqueue.core.models import RESPONSE_BODY_LIMIT
from tests.delivery.fault_worker import (
    OK,
    Behavior,
    Exchange,
    answer,
    answer_early,
    close,
    hang,
    reset,
    response,
    status,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
FULL = b"x" * RESPONSE_BODY_LIMIT

COMPLETE = {
    "200 with a body": (status(200, body=b"hello"), 200, b"hello"),
    "200 without a body": (status(200), 200, b""),
    "201": (status(201), 201, b""),
    "299": (status(299), 299, b""),
    "204": (answer(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "204 that announces a body": (answer(response(204, body=b"hello")), 204, b""),
    "205 with a length": (status(205), 205, b""),
    "205 without a length, left open": (answer(b"HTTP/1.1 205 Reset\r\n\r\n", then="hold"), 205, b""),
    "chunked": (answer(CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nX-Trailer: 1\r\n\r\n"), 200, b"abcde"),
    "ended by the end of the connection": (answer(UNTIL_EOF + b"abc", then="close"), 200, b"abc"),
    "HTTP/1.0": (answer(b"HTTP/1.0 200 OK\r\n\r\nabc", then="close"), 200, b"abc"),
    "no reason phrase": (answer(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), 200, b""),
    "100 first": (answer(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), 200, b"ok"),
    "102 and 103 first": (
        answer(b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", OK),
        200,
        b"ok",
    ),
    "before the body was read": (answer_early(OK), 200, b"ok"),
    "byte by byte": (answer(*[bytes([each]) for each in OK]), 200, b"ok"),
    "more than was announced": (answer(OK + b"stray"), 200, b"ok"),
    "a second answer at once": (answer(OK + response(500)), 200, b"ok"),
    "an unknown charset": (status(200, "Content-Type: text/x; charset=bogus", body=b"\xff"), 200, b"\xff"),
    "gzip that is none": (status(200, "Content-Encoding: gzip", body=b"no"), 200, b"no"),
    "closed behind it": (answer(OK, then="close"), 200, b"ok"),
    "reset behind it": (answer(OK, then="reset"), 200, b"ok"),
}
"""Complete 2xx responses: what the service does, status and body."""

NOT_AGAIN = {
    "Connection: close": status(200, "Connection: close"),
    "HTTP/1.0": answer(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "Keep-Alive: timeout=0": status(200, "Connection: keep-alive", "Keep-Alive: timeout=0"),
    "stray bytes with the answer": answer(OK + b"stray"),
    "a second answer": answer(OK + response(500)),
    "a 204 with a body": answer(response(204, body=b"hello")),
    "a 204 that announces a body": answer(b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n"),
    "a body over the limit": status(200, body=FULL + b"x"),
}
"""Complete 2xx responses after which the connection may not be used again, though it is left open."""

LIMITS = {
    "one less": (status(200, body=FULL[1:]), False),
    "exactly": (status(200, body=FULL), False),
    "exactly, chunked": (answer(CHUNKED + b"10000\r\n" + FULL + b"\r\n0\r\n\r\n"), None),
    "exactly, but open": (answer(CHUNKED + b"10000\r\n" + FULL + b"\r\n", then="hold"), True),
    "one more": (status(200, body=FULL + b"x"), True),
    "as much, then silence": (
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + FULL, then="hold"),
        True,
    ),
    "as much, then a reset": (
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + FULL + b"x", then="reset"),
        True,
    ),
}
"""Bodies of about 64 KiB, and whether what is kept of them is truncated; None: it depends on what comes together."""

ERROR_STATUSES = [300, 301, 302, 303, 304, 307, 308, 400, 404, 413, 429, 500, 503, 600, 999]

CLOSED = {
    "after the request": close(),
    "after a byte": answer(b"H", then="close"),
    "within a header": answer(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
    "after a header": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", then="close"),
    "after a 100": answer(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"),
}
RESET = {"after the request": reset(), "within the status line": answer(b"HTTP/1.1 200", then="reset")}

BROKEN = {
    "closed within a body": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab", then="close"),
    "closed before a body": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", then="close"),
    "closed within a chunk": answer(CHUNKED + b"5\r\nab", then="close"),
    "closed after a chunk": answer(CHUNKED + b"2\r\nab\r\n", then="close"),
    "closed before the trailer": answer(CHUNKED + b"0\r\n", then="close"),
    "a chunk without a size": answer(CHUNKED + b"zz\r\n"),
    "reset within a body": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab", then="reset"),
}

GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a status line without a status": b"HTTP/1.1 OK\r\n\r\n",
    "status 099": response(99),
    "status 1000": response(1000),
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "101 with an upgrade": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
    "a header of 200 KB": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "headers of 200 KB": b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyy\r\n" * 17_000 + b"Content-Length: 0\r\n\r\n",
    "a header that never ends": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000,
    "HTTP/2 frames": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
}
TLS = [b"\x15\x03\x01\x00\x02\x02\x0a", b"\x15", b"\x16\x03\x03\x00\x7a"]


async def drip(head: bytes, piece: bytes, exchange: Exchange) -> None:
    """Write a head, then a piece every few milliseconds until the other side goes."""
    loop = asyncio.get_running_loop()
    exchange.writer.write(head)
    while not exchange.writer.is_closing():
        exchange.writer.write(piece)
        tick = loop.create_future()
        loop.call_later(0.01, tick.set_result, None)
        await tick


PHASES = {
    "waiting for the response": [
        hang(),
        answer(b"HTTP/1.1 102 Processing\r\n\r\n", then="hold"),
        answer(b"HTTP/1.1 103 Hints\r\n\r\n", b"HTTP/1.1 200 O", then="hold"),
        functools.partial(drip, b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    ],
    "reading the response": [
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", then="hold"),
        answer(UNTIL_EOF + b"abc", then="hold"),
        functools.partial(drip, CHUNKED, b"1\r\nx\r\n"),
    ],
}
"""What never comes to an end, by what the attempt does when time is over."""


def early(then: str) -> Behavior:
    """Respond 413 before the body was read."""
    return answer_early(response(413, body=b"too large"), then=then)


EARLY_ENDS = ("close", "reset", "hold")


@dataclass(frozen=True, slots=True)
class Case:
    """A behavior, and what is recorded: the code of the error, or None, status, and body if there is a response."""

    name: str
    behave: Behavior
    code: str | None
    status: int | None = None
    body: bytes | None = None


def cases() -> Iterator[Case]:
    """Yield every behavior above but one: a reset may discard what the other side hasn't read."""
    for name, (behave, status_code, body) in COMPLETE.items():
        yield Case(name, behave, None, status_code, body)
    for name, behave in NOT_AGAIN.items():
        code, body = (204, b"") if "204" in name else (200, b"ok" if "answer" in name else b"")
        yield Case(name, behave, None, code, FULL if "limit" in name else body)
    for name, (behave, _) in LIMITS.items():
        if "reset" not in name:
            yield Case(f"64 KiB: {name}", behave, None, 200, FULL[name == "one less" :])
    for code in ERROR_STATUSES:
        yield Case(f"{code}", status(code, "Retry-After: 1", body=b""), f"http_{code}", code, b"")
    for then in EARLY_ENDS:
        yield Case(f"413 early, then {then}", early(then), "http_413", 413, b"too large")
    for error, behaviors in (("closed_no_response", CLOSED), ("connection_reset", RESET), ("broken_response", BROKEN)):
        yield from (Case(f"{error}: {name}", behave, error) for name, behave in behaviors.items())
    for name, raw in [*GARBAGE.items(), *((f"TLS {raw!r}", raw) for raw in TLS)]:
        yield Case(name, answer(raw, then="hold"), "protocol")
    for phase, endless in PHASES.items():
        yield from (Case(f"{phase} {number}", behave, "timeout") for number, behave in enumerate(endless))
