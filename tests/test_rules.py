"""Rules without I/O: envelope, lifecycle, backlog, ids, text."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localqueue import backlog, envelope, lifecycle
from localqueue.errors import InvalidJson, InvalidRequest, LocalqueueError
from localqueue.ids import random_bytes, uuid7
from localqueue.models import AttemptError, Job, JobState, Outcome, OutcomeKind, Queue
from localqueue.text import duration, iso, safe

QUEUE = Queue("shop", "work", "/work", retries=2, retry_delay_ms=5000)
JOB = Job(1, "id", "shop", "work", 0, 0, attempt=1)
FAILURE = Outcome(OutcomeKind.HTTP_ERROR, 500, AttemptError("http_500", "x"))


@pytest.mark.parametrize(
    "raw",
    ["null", "0", '""', "[]", "false", "1.0", "-0", "1E400", "9" * 5000, '{"a" : 1,"a":2}', '"\\ud800"', '"é\\u00e9"'],
)
def test_data_is_cut_out_as_it_was_sent(raw: str) -> None:
    """Rule enqueue.bytes."""
    body = f' {{ "queue" : "q", "data":\n{raw} , "namespace":"n"}} '
    assert envelope.parse(body.encode()).data == raw.encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SPACE = st.text(" \t\n\r", max_size=2)


@st.composite
def usual_bodies(draw: st.DrawFn) -> bytes:
    """Draw a body as most are, and sometimes spoil it."""
    data = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))
    parts = ["{", '"namespace"', ":", '"n"', ",", '"queue"', ":", '"q.1"', ",", '"data"', ":", data, "}"]
    text = "".join(draw(SPACE) + part for part in parts) + draw(SPACE)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(["", "}", ",", '"', "x", " ", "\\", ',"data":1'])) + text[at + 1 :]
    return text.encode("utf-8", "surrogatepass")


def outcome(parse: Callable[[bytes], Any], body: bytes) -> object:
    try:
        return parse(body)
    except LocalqueueError as error:
        return (type(error), error.message)


@settings(max_examples=300, deadline=None)
@given(usual_bodies())
def test_the_short_way_through_a_usual_body_and_the_long_way_agree(body: bytes) -> None:
    """Rule enqueue.bytes, enqueue.invalid-json."""

    def the_long_way(body: bytes) -> Any:
        text = envelope._decode(body)
        return envelope._envelope(body, text, envelope._parsed(text))

    assert outcome(envelope.parse, body) == outcome(the_long_way, body)


def test_absent_data_is_null_and_unknown_keys_are_told() -> None:
    """Rule enqueue.absent-data, enqueue.unknown-keys."""
    found = envelope.parse(b'{"namespace":"n","queue":"q","priority":1,"x":2,"x":3}')
    assert (found.data, found.unknown) == (b"null", ("priority", "x"))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}x", b'{"a":1,}', b'{"a" 1}', b'{a:1}', b'{"data":NaN}', b'{"data":-Infinity}', b"\xff",
        b'\xef\xbb\xbf{"namespace":"n","queue":"q"}', '{"namespace":"n"}'.encode("utf-16"), b"nul",
        b'{"data":' + b"[" * 100_000, b'{"data":' + b'{"a":' * 100_000, b'{"data":01}', b'{"data":"\n"}',
        b'{"namespace":"n","queue":"q","data":"\xff"}', b"{,}", b'{"a":1 "b":2}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    """Rule enqueue.invalid-json."""
    with pytest.raises(InvalidJson):
        envelope.parse(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "expected the body to be an object, got an array"),
        ("{}", "expected namespace to be a string, got nothing"),
        ('{"namespace":5}', "expected namespace to be a string, got a number"),
        ('{"namespace":null}', "expected namespace to be a string, got null"),
        ('{"namespace":"n","queue":true}', "expected queue to be a string, got a boolean"),
        ('{"namespace":"\\ud800","queue":"q"}', "expected namespace to be text, got a lone surrogate"),
        ('{"data":1,"data":2}', "expected data once, got it twice"),
        ('{"queue":"q","queue":"q"}', "expected queue once, got it twice"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected_and_what_came(body: str, message: str) -> None:
    """Rule enqueue.invalid-request."""
    with pytest.raises(InvalidRequest) as caught:
        envelope.parse(body.encode())
    assert caught.value.message == message


def test_the_delivery_body_has_four_keys_in_order() -> None:
    """Rule deliver.body."""
    body = envelope.delivery_body("i", "q", 2, b'{ "a":1 }')
    assert body == b'{"jobId":"i","queue":"q","attempt":2,"data":{ "a":1 }}'


def test_a_success_completes() -> None:
    """Rule deliver.two-xx."""
    found = lifecycle.decide(JOB, QUEUE, Outcome(OutcomeKind.COMPLETED, 204), 70)
    assert (found.job.finished, found.job.finished_ms, found.next_due_ms) == (JobState.COMPLETED, 70, None)


def test_a_failure_is_due_again_exactly_one_delay_after_its_end() -> None:
    """Rule retry.delay."""
    found = lifecycle.decide(JOB, QUEUE, FAILURE, 70)
    assert (found.job.finished, found.next_due_ms, found.job.next_number) == (None, 5070, 2)


def test_the_last_failure_fails_the_job() -> None:
    """Rule retry.limit."""
    found = lifecycle.decide(replace(JOB, attempt=3, failures=2), QUEUE, FAILURE, 70)
    assert found.job.finished is JobState.FAILED


def test_without_retries_there_is_one_attempt() -> None:
    """Rule retry.zero."""
    assert lifecycle.decide(JOB, replace(QUEUE, retries=0), FAILURE, 0).job.finished is JobState.FAILED


def test_an_interruption_costs_no_retry() -> None:
    """Rule deliver.interrupted."""
    found = lifecycle.decide(replace(JOB, attempt=2, failures=1), QUEUE, Outcome(OutcomeKind.INTERRUPTED), 70)
    assert (found.job.next_number, found.next_due_ms) == (2, 0)


def test_ids_are_uuid7_and_ordered_by_time() -> None:
    """Rule enqueue.ids."""
    ids = [uuid7(ms, random_bytes(None, 1)) for ms in (1, 2, 1_700_000_000_000)]
    assert ids == sorted(ids)
    assert [(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids] == [(7, uuid.RFC_4122)] * 3


def test_nothing_foreign_can_steer_a_terminal() -> None:
    """Rule security.terminal."""
    assert safe("a\x1b[31m\x9b\u202e\u2028\r\n") == r"a\x1b[31m\x9b\u202e\u2028\x0d\x0a"
    assert len(safe("x" * 1000)) == 200


def test_times_and_durations_read_well() -> None:
    assert iso(1_767_225_600_007) == "2026-01-01T00:00:00.007Z"
    assert [duration(ms) for ms in (12, 5000, 125_000, 7_260_000)] == ["12 ms", "5.0 s", "2 min 5 s", "2 h 1 min"]


@pytest.mark.parametrize("seed", range(200))
def test_the_backlog_gives_out_what_the_disk_has_in_order(seed: int) -> None:
    """Rule deliver.order: whatever is loaded, offered, taken and put back when, the smallest due job comes first."""
    rng = random.Random(seed)
    limit = rng.choice([4, 8])
    held = backlog.Backlog(limit)
    disk: dict[int, Job] = {}
    taken: dict[int, Job] = {}
    load: list[backlog.Entry] | None = None
    for seq in range(1, 300):
        action = rng.random()
        if action < 0.5:
            job = replace(JOB, seq=seq, due_ms=rng.randrange(20))
            disk[seq] = job
            held.offer(job)
        elif action < 0.6 and taken:
            back = replace(taken.pop(rng.choice(list(taken))), due_ms=rng.randrange(40))
            disk[back.seq] = back
            held.put_back(back.seq)
            held.offer(back)
        elif load is not None:
            held.end_load(load)
            load = None
        elif held.needs_load:
            after, count = held.begin_load()
            keys = sorted((job.due_ms, job.seq) for job in disk.values())
            load = [backlog.Entry(disk[key[1]]) for key in keys if key > after][:count]
        elif entry := held.take_due(100):
            free = min((job.due_ms, job.seq) for job in disk.values() if job.seq not in taken)
            assert entry.key == free
            taken[entry.job.seq] = entry.job
        elif taken:
            gone = rng.choice(list(taken))
            del taken[gone], disk[gone]
            held.put_back(gone)
        assert load is not None or len(held) <= 2 * limit
