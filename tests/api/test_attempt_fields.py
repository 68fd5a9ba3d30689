"""An attempt has the same fields wherever it is stored, sent and described."""

from __future__ import annotations

import dataclasses
import re

from localqueue.api import schemas, serializers
from localqueue.core.events import AttemptEnded
from localqueue.core.models import Attempt, AttemptError, Job, Outcome, OutcomeKind, Response
from localqueue.store.row_mapping import ATTEMPT_COLUMNS, attempt_row, to_attempt
from localqueue.testing import results

ERROR = AttemptError("http_503", "the service responded 503")
FAILED = Outcome(OutcomeKind.HTTP_ERROR, 503, ERROR, Response((), b"x"), injected="503")
ATTEMPT = Attempt(2, 3, 4, 10, 11, 12, 1, "http://localhost:3000/work", FAILED, 5012, "retry 3 of 3")
JOB = Job(seq=1, id="0" * 32, namespace="shop", queue="work", created_ms=1, due_ms=2)
FLAT = {"request": "url"}
"""What the test API names otherwise: of the request it has the URL."""


def snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def test_a_stored_attempt_is_the_same_when_it_is_read() -> None:
    row = attempt_row(ATTEMPT)
    assert len(row) == len(ATTEMPT_COLUMNS.split(","))
    assert to_attempt(row) == ATTEMPT


def test_an_attempt_is_sent_as_the_schema_says() -> None:
    schema = schemas.COMPONENTS["Attempt"]["properties"]
    assert list(serializers.attempt(ATTEMPT, None)) == list(schema)
    bare = schemas.COMPONENTS["BareAttempt"]["properties"]
    assert list(serializers.bare_attempt(ATTEMPT)) == list(bare)


def test_the_attempts_of_advance_and_drain_are_sent_as_the_schema_says() -> None:
    sent = serializers.ended_attempt(AttemptEnded(JOB, ATTEMPT))
    assert list(sent) == list(schemas.COMPONENTS["EndedAttempt"]["properties"])
    assert [snake(name) for name in sent] == [each.name for each in dataclasses.fields(results.EndedAttempt)]


def test_the_test_api_has_the_fields_of_the_control_api() -> None:
    sent = {FLAT.get(name, snake(name)) for name in serializers.attempt(ATTEMPT, None)}
    assert {each.name for each in dataclasses.fields(results.Attempt)} == sent
