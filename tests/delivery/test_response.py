"""Responses and broken connections, and the outcome that each one means."""

from __future__ import annotations

import pytest

from localqueue.core.models import OutcomeKind, Request
from tests.delivery.behaviors import BROKEN, CLOSED, COMPLETE, EARLY_ENDS, ERROR_STATUSES, GARBAGE, RESET, TLS, early
from tests.delivery.fault_worker import OK, FaultWorker, answer, answer_early, status
from tests.delivery.support import (
    BODY,
    LONG_MS,
    body_of,
    code_of,
    deliver_once,
    delivering,
    message_of,
)
from tests.support import run_async


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


@pytest.mark.parametrize("code", ERROR_STATUSES)
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


@pytest.mark.parametrize("behavior", CLOSED.values(), ids=CLOSED)
def test_a_connection_closed_before_a_full_head_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.closed."""
    outcome = run(deliver_once(parser, behavior))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "closed_no_response")


@pytest.mark.parametrize("behavior", RESET.values(), ids=RESET)
def test_a_connection_reset_before_a_full_head_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.reset."""
    outcome = run(deliver_once(parser, behavior))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


def test_a_connection_reset_while_sending_is_a_failure(parser, run) -> None:
    outcome = run(deliver_once(parser, answer_early(then="reset"), body=b"x" * 20_000_000))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connection_reset")


@pytest.mark.parametrize("behavior", BROKEN.values(), ids=BROKEN)
def test_a_body_that_breaks_off_is_a_failure(parser, run, behavior) -> None:
    """Rule deliver.complete-response."""
    outcome = run(deliver_once(parser, behavior))
    assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "broken_response")
    assert "(200)" in message_of(outcome)


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_a_response_that_isn_t_http_is_a_failure(parser, run, raw) -> None:
    """Rule deliver.protocol."""
    outcome = run(deliver_once(parser, answer(raw, then="hold")))
    assert (outcome.kind, code_of(outcome), outcome.status) == (
        OutcomeKind.CONNECTION_ERROR,
        "protocol",
        None,
    )


@pytest.mark.parametrize("raw", TLS)
def test_a_response_in_tls_suggests_https(parser, raw) -> None:
    outcome = run_async(deliver_once(parser, answer(raw, then="hold")))
    assert code_of(outcome) == "protocol"
    assert "looks like TLS: use https://" in message_of(outcome)


def test_a_response_can_t_control_the_terminal(parser) -> None:
    outcome = run_async(deliver_once(parser, answer(b"\x1b]0;evil\x07\r\n\r\n", then="hold")))
    assert "\x1b" not in message_of(outcome)


@pytest.mark.parametrize("then", EARLY_ENDS)
@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_response_before_the_body_was_read_counts(parser, run, size, then) -> None:
    """Rule deliver.early-answer: that the rest can't be written any more doesn't matter."""
    outcome = run(deliver_once(parser, early(then), body=b"x" * size))
    assert (code_of(outcome), body_of(outcome)) == ("http_413", b"too large")


def test_an_early_response_that_ends_with_the_connection_counts(parser, run) -> None:
    behavior = answer_early(b"HTTP/1.1 413 Too Large\r\n\r\ntoo large", then="close")
    outcome = run(deliver_once(parser, behavior, body=b"x" * 20_000_000))
    assert (code_of(outcome), body_of(outcome)) == ("http_413", b"too large")


def test_a_request_that_was_not_sent_in_full_leaves_a_connection_that_is_not_used_again(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker(answer_early(OK, then="hold")) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, b"x" * 20_000_000, LONG_MS))).status == 200
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.connections == 2

    run(main())
