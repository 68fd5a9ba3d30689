"""One HTTP attempt and its outcome, whatever the worker does: the rules of `deliver.*` about the wire."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import itertools
import logging
import os
import shutil
import socket
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from localqueue.core.models import RESPONSE_BODY_LIMIT, Outcome, OutcomeKind, Request
from localqueue.delivery import errors, http_transport, https_transport, response_parser
from localqueue.delivery.delivery import USER_AGENT, Delivery
from localqueue.delivery.http_transport import HttpTransport
from localqueue.delivery.response_parser import H11Parser, HttptoolsParser, ResponseParser
from tests.delivery.fault_worker import (
    OK,
    Behaviour,
    Exchange,
    FaultWorker,
    answer,
    answer_early,
    close,
    hang,
    hang_unread,
    reset,
    response,
    status,
    stream,
)
from tests.support import run_async

try:
    import uvloop
except ImportError:
    uvloop = None

SHORT_MS = 250
LONG_MS = 10_000
BODY = b'{"jobId":"1","queue":"work","attempt":1,"data":null}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
SILENT = "Server disconnected without sending a response."
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

PARSERS = [
    pytest.param(
        HttptoolsParser,
        marks=pytest.mark.skipif(response_parser.httptools is None, reason="httptools is not installed"),
        id="httptools",
    ),
    pytest.param(H11Parser, id="h11"),
]
LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(uvloop is None, reason="uvloop is not installed")),
]


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> type[ResponseParser]:
    chosen: type[ResponseParser] = request.param
    return chosen


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on one loop or the other."""
    if request.param == "asyncio":
        return run_async

    def run_uvloop(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)

    return run_uvloop


@contextlib.asynccontextmanager
async def delivering(parser: type[ResponseParser]) -> AsyncIterator[Delivery]:
    """Give a delivery with one of the parsers, and close it."""
    delivery = Delivery(functools.partial(HttpTransport, parser))
    try:
        yield delivery
    finally:
        await delivery.aclose()


async def deliver_once(
    parser: type[ResponseParser], behaviour: Behaviour, timeout_ms: int = LONG_MS, body: bytes = BODY
) -> Outcome:
    """Deliver to a worker that does this to the first request, and answers 200 afterwards."""
    async with FaultWorker(behaviour) as worker, delivering(parser) as delivery:
        outcome = await delivery.deliver(Request(worker.url, body, timeout_ms))
        assert len(worker.requests) <= 1, "the attempt was sent twice"
        return outcome


def code_of(outcome: Outcome) -> str | None:
    return outcome.error.code if outcome.error is not None else None


def message_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


def body_of(outcome: Outcome) -> bytes:
    assert outcome.response is not None
    return outcome.response.body


def unused_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def has_ipv6() -> bool:
    try:
        unused_port("::1")
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


# what is sent


def test_a_request_is_a_plain_post_with_our_headers_and_the_body_as_it_is(parser, run) -> None:
    """Rule deliver.request."""

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(worker.url + "/a%20b?x=1", BODY, LONG_MS))
            assert (outcome.kind, outcome.status, outcome.error) == (OutcomeKind.COMPLETED, 200, None)
            [request] = worker.requests
            assert request.request_line == "POST /job/a%20b?x=1 HTTP/1.1"
            assert request.body == BODY
            assert request.headers == {
                "host": f"127.0.0.1:{worker.port}",
                "content-type": "application/json",
                "accept": "*/*",
                "accept-encoding": "identity",
                "user-agent": USER_AGENT,
                "content-length": str(len(BODY)),
            }

    run(main())


def test_further_headers_of_a_request_are_sent(parser) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, b"", LONG_MS, (("X-Schedule-Name", "nightly"),)))
            assert worker.requests[0].headers["x-schedule-name"] == "nightly"
            assert worker.requests[0].headers["content-length"] == "0"

    run_async(main())


def test_a_header_with_a_line_break_is_never_sent(parser) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(worker.url, b"", LONG_MS, (("X", "a\r\nY: b"),)))
            assert code_of(outcome) == "protocol"
            assert worker.requests == []

    run_async(main())


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://", "http://[::1", "http://a..b/"])
def test_a_url_that_can_not_be_used_is_an_outcome_and_no_exception(url) -> None:
    async def main() -> None:
        delivery = Delivery()
        assert code_of(await delivery.deliver(Request(url, b"", LONG_MS))) == "connect_failed"
        await delivery.aclose()

    run_async(main())


def test_proxies_of_the_environment_are_ignored(parser, monkeypatch) -> None:
    """Rule deliver.no-proxies."""

    async def main() -> None:
        async with FaultWorker() as proxy, FaultWorker() as worker:
            for name in PROXY_VARIABLES:
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
            async with delivering(parser) as delivery:
                assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            usual = Delivery()
            assert (await usual.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            https = f"https://127.0.0.1:{unused_port()}/"
            assert code_of(await usual.deliver(Request(https, BODY, LONG_MS))) == "connect_refused"
            await usual.aclose()
            assert proxy.connections == 0

    https_transport.tls_context.cache_clear()
    run_async(main())


def test_no_credentials_are_taken_from_netrc_or_the_url(parser, monkeypatch, tmp_path: Path) -> None:
    """Rule deliver.no-credentials."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await delivery.deliver(Request(worker.url.replace("//", "//me:pw@"), BODY, LONG_MS))
            assert [("authorization" in each.headers) for each in worker.requests] == [False, False]

    run_async(main())


# answers that complete a job


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
    "before the body was read": (answer_early(OK, then="hold"), 200, b"ok"),
    "byte by byte": (answer(*[bytes([each]) for each in OK]), 200, b"ok"),
    "more than was announced": (answer(OK + b"stray"), 200, b"ok"),
    "a second answer at once": (answer(OK + response(500)), 200, b"ok"),
    "an unknown charset": (status(200, "Content-Type: text/x; charset=bogus", body=b"\xff"), 200, b"\xff"),
    "gzip that is none": (status(200, "Content-Encoding: gzip", body=b"no"), 200, b"no"),
}


@pytest.mark.parametrize(("behaviour", "code", "body"), COMPLETE.values(), ids=COMPLETE)
def test_a_complete_answer_with_2xx_completes(parser, run, behaviour, code, body) -> None:
    """Rule deliver.two-xx."""
    outcome = run(deliver_once(parser, behaviour))
    assert (outcome.kind, outcome.status, outcome.error) == (OutcomeKind.COMPLETED, code, None)
    assert (body_of(outcome), outcome.response.truncated) == (body, False)


def test_headers_are_kept_as_text_without_cookies(parser) -> None:
    """Rule deliver.response-headers."""
    headers = ("X-Name: caf\xe9 \x1b[31m", "Set-Cookie: a=b", "set-cookie: c=d", "Retry-After: 5")
    outcome = run_async(deliver_once(parser, status(200, *headers)))
    assert outcome.response is not None
    assert outcome.response.headers == (
        ("content-length", "0"),
        ("x-name", "caf\xe9 \x1b[31m"),
        ("retry-after", "5"),
    )


# answers with another status


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308, 400, 404, 413, 429, 500, 503, 600, 999])
def test_any_other_status_is_a_failure_named_after_it(parser, code) -> None:
    """Rule deliver.other-status."""
    outcome = run_async(deliver_once(parser, status(code, "Retry-After: 1")))
    assert (outcome.kind, outcome.status, code_of(outcome)) == (OutcomeKind.HTTP_ERROR, code, f"http_{code}")
    assert ("retry-after", "1") in outcome.response.headers


def test_the_body_of_an_error_is_kept(parser) -> None:
    assert body_of(run_async(deliver_once(parser, status(500, body=b"Traceback")))) == b"Traceback"


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_its_location_is_shown_escaped(parser, code) -> None:
    """Rule deliver.no-redirects."""

    async def main() -> None:
        async with FaultWorker() as elsewhere:
            outcome = await deliver_once(parser, status(code, f"Location: {elsewhere.url}\x1b"))
            assert f"{elsewhere.url}\\x1b" in message_of(outcome)
            assert elsewhere.connections == 0

    run_async(main())


# no answer


@pytest.mark.parametrize(
    "behaviour",
    [
        close(),
        answer(b"H", then="close"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", then="close"),
        answer(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"),
    ],
)
def test_a_connection_closed_before_a_full_head_is_a_failure(parser, run, behaviour) -> None:
    """Rule deliver.closed."""
    outcome = run(deliver_once(parser, behaviour))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "closed_no_response")


@pytest.mark.parametrize("behaviour", [reset(), answer(b"HTTP/1.1 200", then="reset")])
def test_a_connection_reset_before_a_full_head_is_a_failure(parser, run, behaviour) -> None:
    """Rule deliver.reset."""
    outcome = run(deliver_once(parser, behaviour))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


def test_a_connection_reset_while_sending_is_a_failure(parser, run) -> None:
    outcome = run(deliver_once(parser, answer_early(then="reset"), body=b"x" * 20_000_000))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab", then="close"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", then="close"),
        answer(CHUNKED + b"5\r\nab", then="close"),
        answer(CHUNKED + b"2\r\nab\r\n", then="close"),
        answer(CHUNKED + b"0\r\n", then="close"),
        answer(CHUNKED + b"zz\r\n"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab", then="reset"),
    ],
)
def test_a_body_that_breaks_off_is_a_failure(parser, run, behaviour) -> None:
    """Rule deliver.complete-response."""
    outcome = run(deliver_once(parser, behaviour))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "broken_response")
    assert "(200)" in message_of(outcome)


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


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_an_answer_that_is_no_http_is_a_failure(parser, run, raw) -> None:
    """Rule deliver.protocol."""
    outcome = run(deliver_once(parser, answer(raw, then="hold")))
    assert (outcome.kind, code_of(outcome), outcome.status) == (
        OutcomeKind.CONNECTION_ERROR,
        "protocol",
        None,
    )


@pytest.mark.parametrize("raw", [b"\x15\x03\x01\x00\x02\x02\x0a", b"\x15", b"\x16\x03\x03\x00\x7a"])
def test_an_answer_in_tls_hints_at_https(parser, raw) -> None:
    outcome = run_async(deliver_once(parser, answer(raw, then="hold")))
    assert code_of(outcome) == "protocol"
    assert "looks like TLS: use https://" in message_of(outcome)


def test_what_a_worker_says_can_not_steer_a_terminal(parser) -> None:
    outcome = run_async(deliver_once(parser, answer(b"\x1b]0;evil\x07\r\n\r\n", then="hold")))
    assert "\x1b" not in message_of(outcome)


# early answers


@pytest.mark.parametrize("then", ["close", "reset", "hold"])
@pytest.mark.parametrize("size", [10, 20_000_000])
def test_an_answer_before_the_body_was_read_counts(parser, run, size, then) -> None:
    """Rule deliver.early-answer: that the rest can't be written any more doesn't matter."""
    early = answer_early(response(413, body=b"too large"), then=then)
    outcome = run(deliver_once(parser, early, body=b"x" * size))
    assert (code_of(outcome), body_of(outcome)) == ("http_413", b"too large")


def test_an_early_answer_that_ends_with_the_connection_counts(parser, run) -> None:
    early = answer_early(b"HTTP/1.1 413 Too Large\r\n\r\ntoo large", then="close")
    outcome = run(deliver_once(parser, early, body=b"x" * 20_000_000))
    assert (code_of(outcome), body_of(outcome)) == ("http_413", b"too large")


def test_a_request_that_was_not_sent_in_full_leaves_a_connection_that_is_not_used_again(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker(answer_early(OK, then="hold")) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, b"x" * 20_000_000, LONG_MS))).status == 200
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.connections == 2

    run(main())


# the deadline


async def drip(head: bytes, piece: bytes, exchange: Exchange) -> None:
    """Write a head, then a piece every few milliseconds until the other side goes."""
    loop = asyncio.get_running_loop()
    exchange.writer.write(head)
    while not exchange.writer.is_closing():
        exchange.writer.write(piece)
        tick = loop.create_future()
        loop.call_later(0.01, tick.set_result, None)
        await tick


@pytest.mark.parametrize(
    ("behaviour", "phase"),
    [
        (hang(), "wait"),
        (answer(b"HTTP/1.1 102 Processing\r\n\r\n", then="hold"), "wait"),
        (answer(b"HTTP/1.1 103 Hints\r\n\r\n", b"HTTP/1.1 200 O", then="hold"), "wait"),
        (functools.partial(drip, b"HTTP/1.1 200 OK\r\nX: ", b"x"), "wait"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", then="hold"), "read"),
        (answer(UNTIL_EOF + b"abc", then="hold"), "read"),
        (functools.partial(drip, CHUNKED, b"1\r\nx\r\n"), "read"),
    ],
)
def test_the_one_deadline_ends_an_attempt_and_says_in_which_phase(parser, run, behaviour, phase) -> None:
    """Rule deliver.deadline."""
    outcome = run(deliver_once(parser, behaviour, SHORT_MS))
    assert (outcome.kind, outcome.status, code_of(outcome)) == (OutcomeKind.TIMEOUT, None, "timeout")
    assert f"within {SHORT_MS} ms" in message_of(outcome)
    assert f"({phase})" in message_of(outcome)


def test_the_deadline_ends_sending(parser, run) -> None:
    outcome = run(deliver_once(parser, hang_unread(), SHORT_MS, b"x" * 20_000_000))
    assert code_of(outcome) == "timeout"
    assert "(send)" in message_of(outcome)


def test_the_deadline_ends_connecting_to_a_full_backlog(parser) -> None:
    async def main() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as stack:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            async with delivering(parser) as delivery:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
                outcome = await delivery.deliver(Request(url, BODY, SHORT_MS))
                assert code_of(outcome) == "timeout"
                assert "(connect)" in message_of(outcome)

    run_async(main())


def test_a_timeout_closes_the_connection_and_a_late_answer_changes_nothing(parser, run) -> None:
    """Rule deliver.late-answer."""

    async def late(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.hold()
        await exchange.send(response(500))

    async def main() -> None:
        async with FaultWorker(late) as worker, delivering(parser) as delivery:
            assert code_of(await delivery.deliver(Request(worker.url, BODY, SHORT_MS))) == "timeout"
            worker.release.set()
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            await worker.wait_closed(1)
            assert worker.connections == 2

    run(main())


def test_an_answer_right_at_the_deadline_has_exactly_one_outcome(parser) -> None:
    async def at_the_deadline(exchange: Exchange) -> None:
        await exchange.read_body()
        loop = asyncio.get_running_loop()
        tick = loop.create_future()
        loop.call_later(0.02, tick.set_result, None)
        await tick
        await exchange.send(OK)

    async def main() -> None:
        async with FaultWorker(then=at_the_deadline) as worker, delivering(parser) as delivery:
            work = [delivery.deliver(Request(worker.url, BODY, 20)) for _ in range(50)]
            kinds = {outcome.kind for outcome in await asyncio.gather(*work)}
            assert kinds <= {OutcomeKind.COMPLETED, OutcomeKind.TIMEOUT}

    run_async(main())


def test_a_cancelled_attempt_closes_its_connection(parser, run) -> None:
    """Rule deliver.cancel."""

    async def main() -> None:
        async with FaultWorker(hang()) as worker, delivering(parser) as delivery:
            task = asyncio.create_task(delivery.deliver(Request(worker.url, BODY, LONG_MS)))
            await worker.wait_requests(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            worker.release.set()
            await worker.wait_closed(1)

    run(main())


# large bodies


BIG = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 20971520\r\n\r\n",
    "the end of the connection": UNTIL_EOF,
    "an error": b"HTTP/1.1 500 X\r\nContent-Length: 20971520\r\n\r\n",
}


@pytest.mark.parametrize("head", BIG.values(), ids=BIG)
def test_of_a_big_body_the_first_64_kib_are_read_and_no_more_is_held(parser, head) -> None:
    """Rule deliver.response-limit."""

    async def main() -> None:
        tracemalloc.start()
        try:
            async with (
                FaultWorker(stream(head, itertools.repeat(b"x" * 65_536, 320))) as worker,
                delivering(parser) as delivery,
            ):
                outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
                await worker.wait_closed(1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert outcome.response is not None
        assert (len(body_of(outcome)), outcome.response.truncated) == (RESPONSE_BODY_LIMIT, True)
        assert outcome.kind is (OutcomeKind.HTTP_ERROR if b"500" in head else OutcomeKind.COMPLETED)
        assert peak < 4_000_000

    run_async(main())


FULL = b"x" * RESPONSE_BODY_LIMIT
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


@pytest.mark.parametrize(("behaviour", "is_truncated"), LIMITS.values(), ids=LIMITS)
def test_an_answer_is_complete_once_64_kib_were_read(parser, run, behaviour, is_truncated) -> None:
    """Rule deliver.response-limit."""
    outcome = run(deliver_once(parser, behaviour))
    assert outcome.kind is OutcomeKind.COMPLETED
    assert set(body_of(outcome)) == {ord("x")}
    assert len(body_of(outcome)) in (RESPONSE_BODY_LIMIT, RESPONSE_BODY_LIMIT - 1)
    if is_truncated is not None:  # else it depends on what came together
        assert outcome.response.truncated is is_truncated


def test_a_compressed_body_is_kept_as_it_came(parser) -> None:
    """Rule deliver.raw-body."""
    bomb = gzip.compress(b"\0" * 20_000_000)
    tracemalloc.start()
    try:
        outcome = run_async(deliver_once(parser, status(200, "Content-Encoding: gzip", body=bomb)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body_of(outcome) == bomb[:RESPONSE_BODY_LIMIT]
    assert peak < 4_000_000


# addresses


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_localhost_works_on_whichever_loopback_address_the_service_listens(parser, run, host) -> None:
    """Rule deliver.localhost."""

    async def main() -> None:
        async with FaultWorker(host=host, url_host="localhost") as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.requests[0].headers["host"] == f"localhost:{worker.port}"

    run(main())


@needs_ipv6
def test_an_ipv6_address_works(parser) -> None:
    async def main() -> None:
        async with FaultWorker(host="::1") as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.requests[0].headers["host"] == f"[::1]:{worker.port}"

    run_async(main())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
def test_nobody_listening_is_refused(parser, run, host) -> None:
    """Rule deliver.refused."""

    async def main() -> None:
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(f"http://{host}:{unused_port()}/", BODY, LONG_MS))
            assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connect_refused")
            assert "is the service running?" in message_of(outcome)

    run(main())


@needs_ipv6
@pytest.mark.parametrize(("listening", "asked"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_service_on_the_other_loopback_address_is_pointed_out(parser, listening, asked) -> None:
    async def main() -> None:
        async with FaultWorker(host=listening) as worker, delivering(parser) as delivery:
            url = f"http://{'[::1]' if ':' in asked else asked}:{worker.port}/"
            outcome = await delivery.deliver(Request(url, BODY, LONG_MS))
            assert code_of(outcome) == "connect_refused"
            assert f"something does on {listening}: use localhost" in message_of(outcome)
            assert worker.requests == []

    run_async(main())


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name not known"), UnicodeError("too long")])
def test_a_name_without_an_address_can_not_be_connected(parser, monkeypatch, error) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    async def main() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request("http://nowhere.invalid/", BODY, LONG_MS))
            assert code_of(outcome) == "connect_failed"
            assert "nowhere.invalid" in message_of(outcome)

    run_async(main())


def test_an_address_that_can_not_be_reached_is_a_failure(parser) -> None:
    async def main() -> None:
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request("http://255.255.255.255:9/", BODY, LONG_MS))
            assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connect_failed")

    run_async(main())


def test_every_address_of_a_name_is_tried(parser, monkeypatch) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            first = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", worker.port))
            second = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", worker.port))

            async def resolve(*_: object, **__: object) -> list[Any]:
                return [first, second]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
            url = f"http://worker.test:{worker.port}/"
            assert (await delivery.deliver(Request(url, BODY, LONG_MS))).status == 200

    run_async(main())


# keep-alive


async def deliver_twice(parser: type[ResponseParser], *script: Behaviour) -> tuple[list[Outcome], Any]:
    async with FaultWorker(*script) as worker, delivering(parser) as delivery:
        return [await delivery.deliver(Request(worker.url, BODY, LONG_MS)) for _ in range(2)], worker


def test_a_connection_is_used_again(parser, run) -> None:
    """Rule deliver.keep-alive."""

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            for _ in range(20):
                assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert (len(worker.requests), worker.connections) == (20, 1)

    run(main())


def test_deliveries_under_way_never_share_a_connection(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            for _ in range(3):
                work = [delivery.deliver(Request(worker.url, BODY, LONG_MS)) for _ in range(10)]
                assert {outcome.status for outcome in await asyncio.gather(*work)} == {200}
            assert worker.connections == 10

    run(main())


@pytest.mark.parametrize("code", [200, 204, 304, 404, 500])
def test_a_connection_is_used_again_after_a_2xx_alone(parser, code) -> None:
    """Rule deliver.keep-alive: uvicorn closes right behind the 500 for a handler that raised, and announces nothing."""
    again = answer(
        f"HTTP/1.1 {code} X\r\n".encode() + (b"\r\n" if code in (204, 304) else b"Content-Length: 0\r\n\r\n")
    )
    outcomes, worker = run_async(deliver_twice(parser, again))
    assert [outcome.status for outcome in outcomes] == [code, 200]
    assert worker.connections == (1 if code < 300 else 2)


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


@pytest.mark.parametrize("behaviour", NOT_AGAIN.values(), ids=NOT_AGAIN)
def test_a_connection_that_may_not_be_used_again_is_not(parser, run, behaviour) -> None:
    outcomes, worker = run(deliver_twice(parser, behaviour))
    assert worker.connections == 2
    assert (outcomes[1].kind, body_of(outcomes[1])) == (OutcomeKind.COMPLETED, b"ok")


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_connection_that_the_service_closed_while_idle_costs_no_attempt(parser, run, then, is_seen) -> None:
    """Rule deliver.keep-alive: nor is anything delivered twice."""

    async def main() -> None:
        async with FaultWorker(then=answer(OK, then=then)) as worker, delivering(parser) as delivery:
            for number in range(1, 21):
                outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
                assert outcome.kind is OutcomeKind.COMPLETED, outcome
                if is_seen:
                    await worker.wait_closed(number)
            assert len(worker.requests) == 20

    run(main())


def close_after_a_while() -> Behaviour:
    """Answer, and close once `release` is set."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(OK)
        await exchange.hold()
        exchange.close()

    return behave


def test_an_end_that_only_the_kernel_knows_of_is_seen_before_reuse(parser) -> None:
    """Rule deliver.keep-alive: the loop had no chance to see it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def main() -> Outcome:
            async with delivering(parser) as delivery:
                request = Request(f"http://127.0.0.1:{listener.getsockname()[1]}/", BODY, LONG_MS)
                first = asyncio.create_task(delivery.deliver(request))
                loop = asyncio.get_running_loop()
                peer = await loop.run_in_executor(None, lambda: listener.accept()[0])
                await loop.run_in_executor(None, peer.recv, 65_536)
                peer.sendall(OK)
                assert (await first).status == 200
                peer.close()  # no await between this and the next delivery's look at the connection
                second = asyncio.create_task(delivery.deliver(request))
                peer = await loop.run_in_executor(None, lambda: listener.accept()[0])
                await loop.run_in_executor(None, peer.recv, 65_536)
                peer.sendall(OK)
                outcome = await second
                peer.close()
                return outcome

        listener.settimeout(5)
        assert run_async(main()).kind is OutcomeKind.COMPLETED


def test_bytes_that_come_while_idle_are_never_taken_for_an_answer(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive: some servers say 408 before they close."""

    async def late(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(OK)
        await exchange.hold()
        await exchange.send(response(408))

    monkeypatch.setattr(http_transport, "IDLE_S", 60.0)

    async def main() -> None:
        async with FaultWorker(late) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            worker.release.set()
            await asyncio.wait_for(worker.wait_closed(1), 5)
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.connections == 2

    run(main())


def test_a_request_is_sent_again_if_none_of_it_could_be_written(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive."""

    async def main() -> None:
        async with FaultWorker(close_after_a_while()) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            monkeypatch.setattr(http_transport.Connection, "is_quiet", True)  # the look ahead missed it
            [transport] = next(iter(delivery._idle.values()))
            transport._connection._socket.shutdown(socket.SHUT_WR)  # from now on, writing fails
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert (len(worker.requests), worker.connections) == (2, 2)

    run(main())


def test_a_request_that_was_written_is_never_sent_again(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive: at most once per attempt, even on a connection that broke."""

    async def main() -> None:
        async with FaultWorker(answer(OK), close()) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            assert code_of(outcome) == "closed_no_response"
            assert (len(worker.requests), worker.connections) == (2, 1)

    run(main())


@pytest.mark.parametrize("header", [None, "Keep-Alive: timeout=1", "Keep-Alive: max=5, timeout=5"])
def test_an_idle_connection_is_dropped_after_a_moment(parser, run, monkeypatch, header) -> None:
    monkeypatch.setattr(http_transport, "IDLE_S", 0.05)
    monkeypatch.setattr(http_transport, "MARGIN_S", 0.96)

    async def main() -> None:
        then = status(200, *([header] if header else []))
        async with FaultWorker(then=then) as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await asyncio.wait_for(worker.wait_closed(1), 5)
            assert worker.connections == 1

    run(main())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 1.0),
        (b"timeout=5", 1.0),
        (b"timeout=1", 0.5),
        (b"max=9, TIMEOUT = 1", 0.5),
        (b"timeout=0", -0.5),
    ],
)
def test_idle_time_is_short_and_shorter_than_the_server_announces(value, expected) -> None:
    assert http_transport._idle_time([] if value is None else [(b"Keep-Alive", value)]) == expected


# the connection by itself


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[http_transport.Connection, socket.socket, socket.socket]]:
    """Give a connection, its socket and the other end."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: http_transport.Connection(ours), sock=ours)
    with peer:
        yield connection, ours, peer
        connection.close()


def test_what_came_before_a_write_failed_is_still_read(parser) -> None:
    """Rule deliver.early-answer: the loop closes the connection without having looked."""

    async def main() -> None:
        async with connected() as (connection, _, peer):
            response_parser = parser()
            assert connection.start(response_parser, b"request")
            peer.sendall(OK)
            connection.connection_lost(BrokenPipeError())  # before the loop reads
            await connection.head()
            assert (await connection.read(), response_parser.is_complete) == (b"ok", True)
            assert not connection.finish()
            connection.is_lost = False  # so that it is closed

    run_async(main())


def test_an_answer_to_a_request_that_could_not_be_sent_ends_the_connection(parser) -> None:
    async def main() -> None:
        async with connected() as (connection, ours, peer):
            ours.shutdown(socket.SHUT_WR)
            assert not connection.start(parser(), b"request")
            peer.sendall(OK)
            await connection.head()
            assert await connection.read() == b"ok"
            assert not connection.finish()

    run_async(main())


def test_a_body_that_nobody_takes_is_not_read_on(parser) -> None:
    """Rule deliver.response-limit."""

    async def main() -> None:
        async with connected() as (connection, _, peer):
            response_parser = parser()
            connection.start(response_parser, b"request")
            peer.setblocking(False)
            peer.send(UNTIL_EOF)
            await connection.head()
            connection.data_received(b"x" * http_transport.READ_LIMIT)
            assert not connection._open_transport.is_reading()
            assert await connection.read() == b"x" * http_transport.READ_LIMIT
            assert connection._open_transport.is_reading()

    run_async(main())


def test_a_head_is_bounded_even_if_it_comes_at_once(parser) -> None:
    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(errors.ExchangeError, match="longer than 64 KiB"):
        parser().feed(head)


def test_a_transport_closes_its_connection_when_an_exchange_fails(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker(hang()) as worker:
            transport = HttpTransport(parser)
            request = httpx.Request("POST", worker.url, content=BODY)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(transport.handle_async_request(request), 0.1)
            assert transport.phase == "wait"
            worker.release.set()
            await asyncio.wait_for(worker.wait_closed(1), 5)

    run(main())


# the seam, and what is left over


class Scripted(httpx.AsyncBaseTransport):
    """Stand in for the network, as simulations do."""

    def __init__(self, result: Exception | httpx.Response) -> None:
        self.result = result
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (httpx.ConnectError("no"), "connection_error", "connect_failed"),
        (httpx.ReadTimeout("slow"), "timeout", "timeout"),
        (httpx.ReadError("gone"), "connection_error", "connection_reset"),
        (httpx.RemoteProtocolError("what"), "connection_error", "protocol"),
        (httpx.RemoteProtocolError(SILENT), "connection_error", "closed_no_response"),
        (ConnectionResetError("gone"), "connection_error", "connection_reset"),
        (RuntimeError("surprise"), "connection_error", "protocol"),
    ],
)
def test_whatever_a_transport_raises_becomes_an_outcome(error, kind, code) -> None:
    transport = Scripted(error)
    outcome = run_async(Delivery(lambda: transport).deliver(Request("http://x/", b"", LONG_MS)))
    assert (outcome.kind, code_of(outcome), transport.closed) == (kind, code, 1)


def test_a_transport_of_your_own_can_stand_in_for_the_network() -> None:
    transport = Scripted(httpx.Response(200, content=b"done"))
    delivery = Delivery(lambda: transport)
    outcome = run_async(delivery.deliver(Request("https://x/", b"", LONG_MS)))
    assert (outcome.kind, body_of(outcome), transport.closed) == (OutcomeKind.COMPLETED, b"done", 0)


def test_nothing_is_left_open_and_nothing_is_logged(parser, run, caplog) -> None:
    """Rule deliver.no-leaks."""

    async def main() -> None:
        script = [close(), reset(), hang(), answer(b"garbage\r\n\r\n"), status(500), answer(OK, then="close")]
        async with FaultWorker(*script) as worker, delivering(parser) as delivery:
            for _ in range(len(script) + 3):
                await delivery.deliver(Request(worker.url, BODY, SHORT_MS))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    run(main())
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.WARNING):
        run(main())
    assert len(os.listdir("/proc/self/fd")) == before
    assert caplog.records == []


# https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Make a certificate for localhost that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += [
        "-keyout",
        str(key),
        "-out",
        str(cert),
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        names,
    ]
    subprocess.run(command, check=True, capture_output=True)
    yield cert, key
    https_transport.tls_context.cache_clear()


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Serve with that certificate, which we trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    https_transport.tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def deliver_securely(tls: ssl.SSLContext, behaviour: Behaviour, timeout_ms: int = LONG_MS) -> Outcome:
    async with FaultWorker(behaviour, tls=tls, url_host="localhost") as worker:
        delivery = Delivery()
        outcome = await delivery.deliver(Request(worker.url, BODY, timeout_ms))
        await delivery.aclose()
        assert len(worker.requests) == 1
        assert worker.requests[0].headers["host"] == f"localhost:{worker.port}"
        return outcome


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (status(200, body=b"ok"), None),
        (answer(UNTIL_EOF + b"ok", then="close"), None),
        (status(500, body=b"ok"), "http_500"),
        (close(), "closed_no_response"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", then="close"), "broken_response"),
        (answer(b"nonsense\r\n\r\n"), "protocol"),
        (answer(b"HTTP/1.1 101 Switching\r\n\r\n"), "protocol"),
    ],
)
def test_https_has_the_same_outcomes(tls, run, behaviour, code) -> None:
    """Rule deliver.https."""
    outcome = run(deliver_securely(tls, behaviour))
    assert code_of(outcome) == code
    if outcome.response is not None:
        assert body_of(outcome) == b"ok"


@pytest.mark.parametrize(
    ("behaviour", "phase"),
    [(hang(), "wait"), (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", then="hold"), "read")],
)
def test_a_timeout_over_https_says_in_which_phase(tls, behaviour, phase) -> None:
    outcome = run_async(deliver_securely(tls, behaviour, 300))
    assert code_of(outcome) == "timeout"
    assert f"({phase})" in message_of(outcome)


def test_a_certificate_that_nobody_vouches_for_is_refused(tls, monkeypatch) -> None:
    async def main() -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        https_transport.tls_context.cache_clear()
        async with FaultWorker(tls=tls) as worker:
            delivery = Delivery()
            outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await delivery.aclose()
            assert (code_of(outcome), worker.requests) == ("connect_failed", [])
            assert "certificate" in message_of(outcome).lower()

    run_async(main())


async def deliver_to(server: Callable[[socket.socket], None], timeout_ms: int = LONG_MS) -> Outcome:
    """Deliver over https to a server that gets each connection before any byte was read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                server(peer)

        serving = asyncio.get_running_loop().run_in_executor(None, serve)
        delivery = Delivery()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        outcome = await delivery.deliver(Request(url, BODY, timeout_ms))
        await delivery.aclose()
        await serving
        return outcome


def test_https_to_a_plain_service_hints_at_http() -> None:
    def speak_plainly(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    outcome = run_async(deliver_to(speak_plainly))
    assert code_of(outcome) == "connect_failed"
    assert "use http:// in the target" in message_of(outcome)


def test_a_handshake_that_never_ends_times_out_and_leaves_nothing_open(run) -> None:
    def keep_silent(peer: socket.socket) -> None:
        while peer.recv(65_536):
            pass  # until the other side closes

    outcome = run(deliver_to(keep_silent, 300))
    assert code_of(outcome) == "timeout"
    assert "(connect)" in message_of(outcome)
