"""`POST /jobs` by a known head, which skips the parser, and by a new one are the same to the client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from localqueue.api import app, requests
from localqueue.api.context import ServerInfo
from localqueue.core.clock import VirtualClock
from localqueue.server.enqueue_protocol import HEAD_LIMIT, EnqueueProtocol, KnownHeads
from tests.support import running_engine, write_catalog

pytest.importorskip("httptools", reason="httptools is not installed: no head is ever known")
GOOD = b'{"namespace":"shop","queue":"work","data":1}'
USUAL = b"Host: localhost\r\nContent-Type: application/json\r\n"
POST = b"POST /jobs HTTP/1.1"
MAX_BODY = 50_000
BODIES = [
    GOOD,
    b'{"namespace":"shop","queue":"work"}',
    b'{"namespace":"shop","queue":"work","data":null,"priority":1}',
    b'{"namespace":"shop","queue":"wrok","data":1}',
    b'{"namespace":"shpo","queue":"work","data":1}',
    b'{"namespace":"shop","queue":"work","data":',
    b"[]",
    b"\xff\xfe{}",
    b'{"namespace":"shop","queue":"work","data":"' + b"x" * 40_000 + b'"}',
]


def message(body: bytes, headers: bytes = USUAL, line: bytes = POST) -> bytes:
    return line + b"\r\n" + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Transport(asyncio.Transport):
    """Keep what is written, and obey `pause_reading`."""

    def __init__(self, protocol: EnqueueProtocol) -> None:
        super().__init__({"sockname": ("127.0.0.1", 7001), "peername": ("127.0.0.1", 9)})
        self.written = b""
        self.lost = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self._protocol = protocol
        self._is_closed = False

    def write(self, data: Any) -> None:
        if not self._is_closed:
            self.written += data

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.reading.set()
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        self._protocol.connection_lost(None)
        self.lost.set()

    def is_closing(self) -> bool:
        return self._is_closed

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()


class Harness:
    """An app behind protocols without sockets: what is read at a time is what the test says."""

    def __init__(self, runner: asyncio.Runner, app: app.App) -> None:
        self._runner = runner
        self._config = uvicorn.Config(app.asgi, lifespan="off", log_config=None, proxy_headers=False)
        self._known = KnownHeads(app.direct)
        self._respond = app.direct.respond
        app.direct.respond = self._counting  # type: ignore[method-assign]
        self.direct: list[bytes] = []

    async def _counting(self, body: bytes) -> tuple[int, bytes]:
        self.direct.append(body)
        return await self._respond(body)

    def forget(self) -> None:
        """Let every head be new."""
        self._known = KnownHeads(self._known.direct)
        self.direct.clear()

    def exchange(
        self,
        *parts: bytes,
        is_patient: bool = False,
        then: Callable[[EnqueueProtocol], object] = EnqueueProtocol.eof_received,
    ) -> bytes:
        """Read these parts, then the client's end; return everything that is written.

        A patient client waits for the response to a complete request before it sends more.
        """
        return self._runner.run(self._exchange(parts, is_patient, then))

    async def _exchange(
        self, parts: tuple[bytes, ...], is_patient: bool, then: Callable[[EnqueueProtocol], object]
    ) -> bytes:
        state = ServerState()
        protocol = EnqueueProtocol(self._config, state, {}, known=self._known)
        transport = Transport(protocol)
        protocol.connection_made(transport)
        for part in parts:
            await transport.reading.wait()
            if not transport.is_closing():
                protocol.data_received(part)
            if is_patient and state.tasks and not protocol._is_in_message:
                await asyncio.wait(state.tasks)
        await transport.reading.wait()
        if not transport.is_closing() and not then(protocol):
            transport.close()
        await transport.lost.wait()
        if state.tasks:
            await asyncio.wait(state.tasks)
        return re.sub(rb'"id":"[^"]*"', b'"id":""', transport.written)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    catalog = write_catalog(tmp_path_factory.mktemp("shop"))
    with asyncio.Runner() as runner:
        running = running_engine(catalog, VirtualClock(0))
        info = ServerInfo("http://localhost:7001", Path("queue.db"), False, lambda _: False, MAX_BODY)

        async def started() -> app.App:
            return app.build(await running.__aenter__(), info)

        yield Harness(runner, runner.run(started()))
        runner.run(running.__aexit__(None, None, None))


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_the_response_by_a_known_head_is_that_by_a_new_one(harness: Harness, body: bytes) -> None:
    harness.forget()
    new = harness.exchange(message(body))
    assert new.startswith(b"HTTP/1.1 ") and harness.direct == []
    assert harness.exchange(message(body)) == new
    assert harness.direct == [body]


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        (b"Host: evil.example\r\nContent-Type: application/json\r\n", POST),
        (USUAL + b"Origin: http://evil.example\r\n", POST),
        (b"Host: localhost\r\nContent-Type: text/plain\r\n", POST),
        (USUAL + b"Expect: 100-continue\r\n", POST),
        (USUAL + b"Connection: close\r\n", POST),
        (USUAL + b"Content-Length: %d\r\n" % len(GOOD), POST),
        (USUAL + b"Transfer-Encoding: chunked\r\n", POST),
        (USUAL + b"X-Long: " + b"x" * HEAD_LIMIT + b"\r\n", POST),
        (USUAL, b"POST /jobs?x=1 HTTP/1.1"),
        (USUAL, b"POST /jobs HTTP/1.0"),
        (USUAL, b"PUT /jobs HTTP/1.1"),
        (USUAL, b"POST /jobs/ HTTP/1.1"),
    ],
)
def test_a_head_that_is_refused_or_unusual_never_becomes_known(harness: Harness, headers: bytes, line: bytes) -> None:
    """Rule security.host, security.origin, security.content-type."""
    harness.forget()
    sent = message(GOOD, headers, line)
    assert harness.exchange(sent) == harness.exchange(sent)
    assert harness.direct == []


def test_a_body_that_is_too_large_is_refused_at_once_each_time(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule enqueue.too-large."""
    monkeypatch.setattr(requests, "DROP_S", 3600.0)  # nothing more of the body is to come
    sent = message(b'"' + b"x" * MAX_BODY + b'"')
    assert harness.exchange(sent)[9:12] == harness.exchange(sent)[9:12] == b"413"


def test_requests_behind_a_known_one_get_their_responses_in_order(harness: Harness) -> None:
    bodies = [GOOD, *BODIES[2:6], GOOD]
    harness.forget()
    apart = b"".join(harness.exchange(message(body)).replace(b"connection: close\r\n", b"") for body in bodies)
    for parts in (map(message, bodies), [message(GOOD), b"".join(map(message, bodies[1:]))]):
        harness.direct.clear()
        found = harness.exchange(*parts)
        assert found.replace(b"connection: close\r\n", b"") == apart
        assert harness.direct[0] == GOOD


def test_a_request_within_the_body_of_another_is_only_data(harness: Harness) -> None:
    inner = message(GOOD)
    harness.exchange(inner)
    outer = message(inner)
    assert harness.exchange(outer[: -len(inner)], inner)[9:12] == b"400"


@pytest.mark.parametrize("then", [EnqueueProtocol.eof_received, EnqueueProtocol.shutdown])
def test_an_accepted_job_gets_its_response_before_the_connection_closes(
    harness: Harness, then: Callable[[EnqueueProtocol], object]
) -> None:
    """Rule enqueue.half-close."""

    def end(protocol: EnqueueProtocol) -> bool:
        then(protocol)
        return True  # the protocol closes the connection by itself

    harness.exchange(message(GOOD))
    harness.direct.clear()
    assert harness.exchange(message(GOOD), then=end)[9:12] == b"201"
    assert harness.direct == [GOOD]


@st.composite
def streams(draw: Any) -> list[bytes]:
    """Return what a client sends, in two pieces: requests, whole or damaged."""
    sent = [message(draw(st.sampled_from(BODIES[:8]))) for _ in range(draw(st.integers(1, 3)))]
    whole = b"".join(damaged(draw, each) if draw(st.booleans()) else each for each in sent)
    at = draw(st.one_of(st.just(len(sent[0])), st.integers(0, len(whole))))
    return [part for part in (whole[:at], whole[at:]) if part]


def damaged(draw: Any, sent: bytes) -> bytes:
    """Return a request with a few bytes removed, repeated, or replaced."""
    at, size = draw(st.integers(0, len(sent))), draw(st.integers(0, 8))
    some = draw(
        st.sampled_from([b"", sent[at : at + size] * 2, b"\r\n", b"\0", b" ", b":", b"0", b"\r\n\r\n", b"\xff", b","])
    )
    return sent[:at] + some + sent[at + size :]


@settings(max_examples=300, deadline=None)
@given(streams())
def test_damaged_streams_get_the_same_responses_by_known_heads(harness: Harness, parts: list[bytes]) -> None:
    harness.forget()
    new = harness.exchange(*parts, is_patient=True)
    for body in BODIES[:8]:
        harness.exchange(message(body))
    assert harness.exchange(*parts, is_patient=True) == new
