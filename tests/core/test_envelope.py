"""The body of `POST /jobs` and the body of a delivery."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localqueue.core import envelope
from localqueue.core.errors import InvalidJson, InvalidRequest, LocalqueueError


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


def test_absent_data_is_null_and_unknown_keys_are_reported() -> None:
    """Rule enqueue.absent-data, enqueue.unknown-keys."""
    found = envelope.parse(b'{"namespace":"n","queue":"q","priority":1,"x":2,"x":3}')
    assert (found.data, found.unknown, found.is_data_missing) == (b"null", ("priority", "x"), True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}x", b'{"a":1,}', b'{"a" 1}', b'{a:1}', b'{"data":NaN}', b'{"data":-Infinity}', b"\xff",
        b'\xef\xbb\xbf{"namespace":"n","queue":"q"}', '{"namespace":"n"}'.encode("utf-16"), b"nul",
        b'{"data":' + b"[" * 100_000, b'{"data":' + b'{"a":' * 100_000, b'{"data":01}', b'{"data":"\n"}',
        b'{"namespace":"n","queue":"q","data":"\xff"}', b"{,}", b'{"a":1 "b":2}',
    ],
)  # fmt: skip
def test_invalid_json_is_refused(body: bytes) -> None:
    """Rule enqueue.invalid-json."""
    with pytest.raises(InvalidJson):
        envelope.parse(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "the body must be a JSON object, not an array"),
        ("{}", "namespace is missing"),
        ('{"namespace":5}', "namespace must be a string, not a number"),
        ('{"namespace":null}', "namespace must be a string, not null"),
        ('{"namespace":"n","queue":true}', "queue must be a string, not a boolean"),
        ('{"namespace":"\\ud800","queue":"q"}', "namespace contains a lone surrogate, which isn't text"),
        ('{"data":1,"data":2}', "data is given twice"),
        ('{"namespace":"n","queue":"' + "q" * 129 + '"}', "queue has 129 characters; the limit is 128"),
        ('{"queue":"q","queue":"q"}', "queue is given twice"),
        ("{" + '"a":1,' * 1000 + '"namespace":"n"}', "the body has more than 1000 keys"),
    ],
)
def test_an_invalid_field_is_named_with_the_rule_and_the_value(body: str, message: str) -> None:
    """Rule enqueue.invalid-request."""
    with pytest.raises(InvalidRequest) as caught:
        envelope.parse(body.encode())
    assert caught.value.message == message


def test_the_delivery_body_has_four_keys_in_order() -> None:
    """Rule deliver.body."""
    body = envelope.delivery_body("i", "q", 2, b'{ "a":1 }')
    assert body == b'{"jobId":"i","queue":"q","attempt":2,"data":{ "a":1 }}'
