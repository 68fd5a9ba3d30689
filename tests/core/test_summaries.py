"""The summary of a failure: in the handler's own words, in one line, at most 160 characters."""

from __future__ import annotations

import pytest

from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Response
from localqueue.core.summaries import LONGEST, group_key, pattern, summarize

PYTHON = """Traceback (most recent call last):
  File "app.py", line 7, in handle
    pay(claim)
ValueError: claim 7 has no policy
"""
NODE = """TypeError: Cannot read properties of undefined (reading 'id')
    at handle (/app/claims.js:12:9)
    at Layer.handle (/app/node_modules/express/lib/layer.js:95:5)
"""
EXPRESS = (
    "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Error: no database<br> at x</pre></body></html>"
)


def failed(body: str, content_type: str = "text/plain") -> str | None:
    response = Response((("content-type", content_type),), body.encode(), False)
    error = AttemptError("http_500", "the service responded 500")
    return summarize(Outcome(OutcomeKind.HTTP_ERROR, 500, error, response))


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        ('{"error": {"code": 7, "message": "no policy"}, "message": "other"}', "no policy"),
        ('{"message": "the model\\n is busy", "error": true}', "the model is busy"),
        ('{"error": "try again"}', "try again"),
        ('{"title": "Conflict", "detail": "version 3 is newer"}', "version 3 is newer"),
        ('{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        ('{"errors": ["first", "second"]}', "first"),
        ('["nothing to see"]', "nothing to see"),
        ('{"status": 500}', '{"status": 500}'),
        ('{"error": {"error": {"error": {}}}, "message": "late"}', "late"),
        ('{"message": "\\ud800"}', "\\ud800"),
        ('{"message": "\\u001b[2mexpect(\\u001b[22m\\u001b[31mreceived\\u001b[39m\\u001b[2m)"}', "expect(received)"),
        ("no \x1b]0;title\x07 claim\u202e", r"no \x1b]0;title\x07 claim\u202e"),
        ('{"message": "cut', '{"message": "cut'),
        (PYTHON, "ValueError: claim 7 has no policy"),
        (NODE, "TypeError: Cannot read properties of undefined (reading 'id')"),
        (EXPRESS, "Error: no database"),
        ("<!DOCTYPE html><title>Error</title>", "Error"),
        (
            "<!DOCTYPE html><title>ValueError: no policy // Debugger</title><h1>ValueError</h1>",
            "ValueError: no policy // Debugger",
        ),
        ("\n\n  first line\nsecond line", "first line"),
        ("", "the service responded 500"),
        ("  \n ", "the service responded 500"),
        ("x" * 500, "x" * (LONGEST - 1) + "…"),
    ],
)
def test_the_summary_says_why(body: str, summary: str) -> None:
    """Rule failures.summary."""
    assert failed(body) == summary


ZOD = '{"code": "invalid_type", "path": ["items", 0, "id"], "message": "Required"}'


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        ('{"errors": [{"path": ["claimId"], "message": "Required"}]}', "claimId: Required"),
        (f'{{"error": {{"issues": [{ZOD}], "name": "ZodError"}}}}', "items.0.id: Required"),
        ('{"detail": [{"loc": ["body", "claimId"], "msg": "Field required"}]}', "claimId: Field required"),
        ('{"detail": [{"loc": ["body", 1, "id"], "msg": "Field required"}]}', "1.id: Field required"),
        ('{"errors": [{"type": "field", "msg": "Invalid value", "path": "claimId"}]}', "claimId: Invalid value"),
        ('{"errors": [{"msg": "Invalid value", "param": "claimId"}]}', "claimId: Invalid value"),
        ('{"errors": [{"instancePath": "/claim/id", "message": "must be string"}]}', "claim.id: must be string"),
        ('[{"path": ["id"], "message": "Invalid"}]', "id: Invalid"),
        ('{"errors": [{"path": ["claimId"], "message": "claimId is required"}]}', "claimId is required"),
        ('{"errors": [{"instancePath": "", "message": "must be an object"}]}', "must be an object"),
        ('{"errors": [{"path": [{"claimId": 1}, null], "message": "Required"}]}', "Required"),
        ('{"errors": [{"path": {"in": "body"}, "message": "Required"}]}', "Required"),
        ('{"errors": [{"path": ["claimId"]}]}', '{"errors": [{"path": ["claimId"]}]}'),
        ('{"status": 404, "error": "Not Found", "path": "/internal/jobs/x"}', "Not Found"),
        (f'{{"errors": [{{"path": ["{"x" * 500}"], "message": "Required"}}]}}', f"{'x' * 59}…: Required"),
    ],
)
def test_the_summary_of_a_validation_error_names_the_place(body: str, summary: str) -> None:
    """Rule failures.summary."""
    assert failed(body) == summary


def test_a_page_is_read_as_text_whatever_its_first_bytes_are() -> None:
    assert failed("<p>no <b>database</b></p>", "text/html; charset=utf-8") == "no database"
    assert failed("<html><body><h1>Service Unavailable</h1></body></html>", "") == "Service Unavailable"


def test_deep_json_and_broken_text_are_no_trouble() -> None:
    assert failed("[" * 5000) is not None
    response = Response((), b"\xff\xfe broken", False)
    assert "broken" in str(summarize(Outcome(OutcomeKind.HTTP_ERROR, 500, AttemptError("x", "y"), response)))


@pytest.mark.parametrize("kind", [OutcomeKind.COMPLETED, OutcomeKind.INTERRUPTED, OutcomeKind.CANCELLED])
def test_what_did_not_fail_has_none(kind: OutcomeKind) -> None:
    """Rule failures.summary."""
    error = None if kind is OutcomeKind.COMPLETED else AttemptError("x", "y")
    assert summarize(Outcome(kind, None, error)) is None


def test_without_a_response_it_is_the_error() -> None:
    assert summarize(Outcome(OutcomeKind.TIMEOUT, None, AttemptError("timeout", "timed out"))) == "timed out"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claim 7 has no policy", "claim 1313 has no policy"),
        ("job 019b8a3e-1111-7000-8000-0000deadbeef is late", "job 019b8a3e-2222-7000-8000-0000cafebabe is late"),
        ("object at 0x7f3a", "object at 0xbeef"),
        ("took 1.5 s", "took 12 s"),
    ],
)
def test_numbers_and_ids_make_no_difference_to_the_cause(one: str, other: str) -> None:
    """Rule failures.groups."""
    assert group_key(one) == group_key(other) != one


@pytest.mark.parametrize(
    ("summaries", "expected"),
    [
        (["claim 17 not found"], "claim 17 not found"),
        (["claim 17 isn't in region 7", "claim 18 isn't in region 7"], "claim # isn't in region 7"),
        (["issue #17 of 9", "issue #18 of 9", "issue #17 of 9"], "issue ## of 9"),
        (["1 of 2 at 0xfe", "1 of 3 at 0xff"], "1 of # at #"),
        (["x1aaaaaaaaaaaa", "x2aaaaaaaaaaaa"], "x1aaaaaaaaaaaa"),  # `#aaaaaaaaaaaa` would be an ID
    ],
)
def test_the_numbers_that_differ_are_marked_and_the_pattern_selects_the_same_cause(
    summaries: list[str], expected: str
) -> None:
    """Rule failures.groups."""
    found = pattern(summaries)
    assert found == expected
    assert {group_key(each) for each in summaries} == {group_key(found)}


def test_words_make_one() -> None:
    assert group_key("no policy") != group_key("no claim")
