"""What the end of an attempt means: each condition of the table, and what is not one."""

from __future__ import annotations

import pytest

from localqueue.core.explanations import CONDITIONS, FIRING_CONDITIONS, NO_TLS, Explanation, explain, explain_firing
from localqueue.core.models import (
    Attempt,
    AttemptError,
    Firing,
    Job,
    Outcome,
    OutcomeKind,
    Queue,
    Response,
    Schedule,
)

JOB = Job(1, "019b8a3e-0000-7000-8000-0000deadbeef", "shop", "work", 0, 0)
QUEUE = Queue("shop", "work", "/work", timeout_ms=1000, place="catalog-info.yaml:7")
URL = "http://localhost:3000/work"


def ended(
    kind: OutcomeKind,
    status: int | None = None,
    error: tuple[str, str] | None = None,
    body: str = "",
    injected: str | None = None,
    duration_ms: int = 1,
    **headers: str,
) -> Explanation | None:
    response = None
    if status is not None:
        response = Response(tuple((k.replace("_", "-"), v) for k, v in headers.items()), body.encode(), False)
    failure = None if error is None else AttemptError(*error)
    outcome = Outcome(kind, status, failure, response, injected=injected)
    return explain(JOB, QUEUE, Attempt(1, 1, 4, 0, 0, duration_ms, duration_ms, URL, outcome, None, "why"))


def completed(body: str = "", **headers: str) -> Explanation | None:
    return ended(OutcomeKind.COMPLETED, 200, None, body, **headers)


def responded(status: int, body: str = "", **headers: str) -> Explanation | None:
    return ended(OutcomeKind.HTTP_ERROR, status, (f"http_{status}", f"the service responded {status}"), body, **headers)


def broken(code: str, message: str) -> Explanation | None:
    return ended(OutcomeKind.CONNECTION_ERROR, None, (code, message))


HTML = {"content_type": "text/html; charset=utf-8"}
FOUND = {
    "success_false": completed('{"message": "no policy", "success": false}', content_type="application/json"),
    "page_completes": completed("<p>Welcome", **HTML),
    "slow": ended(OutcomeKind.COMPLETED, 200, duration_ms=801),
    "wrong_path": responded(404),
    "redirect": responded(302, location="/login"),
    "authentication": responded(401),
    "too_large": responded(413),
    "refused_body": responded(422),
    "retry_after": responded(503, retry_after="120"),
    "page": responded(500, "<pre>Error", **HTML),
    "service_down": broken("connect_refused", "connection refused"),
    "plain_port": broken("connect_failed", NO_TLS),
    "closed": broken("closed_no_response", "the service closed the connection without a response"),
    "timeout": ended(OutcomeKind.TIMEOUT, None, ("timeout", "timed out after 1 s while waiting for the response")),
}


def test_each_condition_of_the_table_is_found() -> None:
    """Rule explain.conditions."""
    names = [condition.name for conditions in CONDITIONS.values() for condition in conditions]
    assert list(FOUND) == names
    assert {name: found and found.condition for name, found in FOUND.items()} == {name: name for name in names}


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("success_false", "says success: false, but 200 completes the job", "localqueue replay deadbeef"),
        (
            "wrong_path",
            "POST /work, declared at catalog-info.yaml:7, has no handler, or its handler responded 404",
            f"'{{}}' {URL}",
        ),
        ("redirect", "redirects to /login,", "localqueue check"),
        ("slow", "took 801 ms of 1 s (timeoutMs)", "localqueue job deadbeef"),
        ("too_large", "express.json({ limit: '1mb' })", "localqueue job deadbeef"),
        ("retry_after", "follows after 5 s (retryDelayMs)", "localqueue job deadbeef"),
        ("service_down", "nothing is listening on http://localhost:3000: start shop,", "localqueue doctor"),
        ("plain_port", "http://localhost:3000 is https, but", "localqueue doctor"),
        ("timeout", "timed out after 1 s while waiting for the response. The next", "localqueue job deadbeef"),
    ],
)
def test_the_text_has_the_value_and_the_place_and_the_command_works(name: str, text: str, command: str) -> None:
    """Rule explain.conditions."""
    found = FOUND[name]
    assert found is not None and text in found.text and found.command.endswith(command)
    assert "{" not in found.text.replace("({ limit", "")


@pytest.mark.parametrize(
    "found",
    [
        completed(),
        completed('{"success": true}'),
        completed('[{"success": false}]'),
        completed('{"note": "\\"success\\": false"}'),
        completed('{"success": false'),
        ended(OutcomeKind.COMPLETED, 200, duration_ms=800),
        responded(500, '{"error": "busy"}', content_type="application/json"),
        responded(409),
        responded(304),
        ended(OutcomeKind.HTTP_ERROR, 404, ("http_404", "the service responded 404 (scripted)"), injected="404"),
        ended(OutcomeKind.CANCELLED),
        ended(OutcomeKind.INTERRUPTED),
    ],
)
def test_what_the_status_says_or_a_script_did_is_not_explained(found: Explanation | None) -> None:
    """Rule explain.conditions."""
    assert found is None


def test_a_response_can_not_write_into_the_terminal() -> None:
    found = responded(302, location="/\x1b[2J{id}")
    assert found is not None and "\x1b" not in found.text and "{id}" in found.text


SCHEDULE = Schedule("shop", "nightly", "0 2 * * *", "/cron", timeout_ms=1000, place="catalog-info.yaml:9")
FIRINGS = {
    "success_false": (OutcomeKind.COMPLETED, 200, None, '{"success": false}', 1),
    "slow": (OutcomeKind.COMPLETED, 200, None, "", 801),
    "wrong_path": (OutcomeKind.HTTP_ERROR, 404, None, "", 1),
    "service_down": (OutcomeKind.CONNECTION_ERROR, None, AttemptError("connect_refused", "connection refused"), "", 1),
    "timeout": (OutcomeKind.TIMEOUT, None, AttemptError("timeout", "timed out after 1 s"), "", 1000),
    "": (OutcomeKind.HTTP_ERROR, 500, None, "no database", 1),
}


def fired(
    kind: OutcomeKind, status: int | None, error: AttemptError | None, body: str, duration_ms: int
) -> Explanation | None:
    response = None if status is None else Response((), body.encode(), False)
    outcome = Outcome(kind, status, error, response)
    return explain_firing(Firing(SCHEDULE, 0, duration_ms, "http://localhost:3000/cron", outcome))


def test_each_condition_of_a_firing_is_found() -> None:
    """Rule schedule.explain."""
    names = [condition.name for conditions in FIRING_CONDITIONS.values() for condition in conditions]
    found = {name: fired(*ending) for name, ending in FIRINGS.items()}
    assert [each.condition for each in found.values() if each is not None] == [*FIRINGS][:-1] == names
    assert found["timeout"] == Explanation(
        "timeout",
        "timed out after 1 s. iec-cron doesn't wait for slow work: respond first and do the work afterwards, with one "
        "job for each record",
        "localqueue trigger shop/nightly",
    )
