"""Responses and broken connections, and the outcome that each one means."""

from __future__ import annotations

import pytest

from localqueue.core.models import OutcomeKind, Request
from tests.delivery.fault_worker import (
    OK,
    FaultWorker,
    answer,
    answer_early,
    close,
    reset,
    response,
    status,
)
from tests.delivery.support import (
    BODY,
    CHUNKED,
    LONG_MS,
    UNTIL_EOF,
    body_of,
    code_of,
    deliver_once,
    delivering,
    message_of,
)
from tests.support import run_async

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


@pytest.mark.parametrize(("behavior", "code", "body"), COMPLETE.values(), ids=COMPLETE)
def test_a_complete_2xx_response_completes_the_job(parser, run, behavior, code, body) -> None:
    """Rule deliver.two-xx."""
    outcome = run(deliver_once(parser, behavior))
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


@pytest.mark.parametrize(
    "behavior",
    [
        close(),
        answer(b"H", then="close"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", then="close"),
        answer(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"),
    ],
)
def test_a_connection_closed_before_a_full_head_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.closed."""
    outcome = run(deliver_once(parser, behavior))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "closed_no_response")


@pytest.mark.parametrize("behavior", [reset(), answer(b"HTTP/1.1 200", then="reset")])
def test_a_connection_reset_before_a_full_head_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.reset."""
    outcome = run(deliver_once(parser, behavior))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


def test_a_connection_reset_while_sending_is_a_failure(parser, run) -> None:
    outcome = run(deliver_once(parser, answer_early(then="reset"), body=b"x" * 20_000_000))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


@pytest.mark.parametrize(
    "behavior",
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
def test_a_body_that_breaks_off_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.complete-response."""
    outcome = run(deliver_once(parser, behavior))
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
def test_a_response_that_isn_t_http_is_a_failure(parser, run, raw) -> None:
    """Rule deliver.protocol."""
    outcome = run(deliver_once(parser, answer(raw, then="hold")))
    assert (outcome.kind, code_of(outcome), outcome.status) == (
        OutcomeKind.CONNECTION_ERROR,
        "protocol",
        None,
    )


@pytest.mark.parametrize("raw", [b"\x15\x03\x01\x00\x02\x02\x0a", b"\x15", b"\x16\x03\x03\x00\x7a"])
def test_a_response_in_tls_suggests_https(parser, raw) -> None:
    outcome = run_async(deliver_once(parser, answer(raw, then="hold")))
    assert code_of(outcome) == "protocol"
    assert "looks like TLS: use https://" in message_of(outcome)


def test_a_response_can_t_control_the_terminal(parser) -> None:
    outcome = run_async(deliver_once(parser, answer(b"\x1b]0;evil\x07\r\n\r\n", then="hold")))
    assert "\x1b" not in message_of(outcome)


@pytest.mark.parametrize("then", ["close", "reset", "hold"])
@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_response_before_the_body_was_read_counts(parser, run, size, then) -> None:
    """Rule deliver.early-answer: that the rest can't be written any more doesn't matter."""
    early = answer_early(response(413, body=b"too large"), then=then)
    outcome = run(deliver_once(parser, early, body=b"x" * size))
    assert (code_of(outcome), body_of(outcome)) == ("http_413", b"too large")


def test_an_early_response_that_ends_with_the_connection_counts(parser, run) -> None:
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
