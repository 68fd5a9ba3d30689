"""Take the body of `POST /jobs` apart, and put the body of a delivery together.

`data` is cut out of the text and spliced into the delivery: it is never decoded and encoded again, so
numbers, key order and escapes reach the worker as they were sent.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from localqueue.core.errors import InvalidJson, InvalidRequest
from localqueue.core.records import record
from localqueue.core.text import nearest, safe

FIELDS = ("namespace", "queue", "data")
NAME_LIMIT = 128
"""The longest name that a catalog can declare."""
KEY_LIMIT = 1000
"""The most keys of a body, outside of `data`: each one takes the event loop a few microseconds."""
MISSING_HINTS = {
    "namespace": "Is SERVICE_NAMESPACE set for your service? `localqueue up` prints the line to export.",
    "queue": "Name one of the queues under spec.queues in the catalog. To list them: localqueue queues",
}
_SPACE = re.compile(r"[ \t\n\r]*")
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", float: "a number"}


@record
class Envelope:
    """An enqueue request; `unknown` are the top-level keys that mean nothing here."""

    namespace: str
    queue: str
    data: bytes
    unknown: tuple[str, ...] = ()
    is_data_missing: bool = False


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


# Numbers are only checked here, never used: float takes any number of digits.
_DECODER = json.JSONDecoder(parse_int=float, parse_float=float, parse_constant=_refuse_constant)


def parse(body: bytes) -> Envelope:
    """Return the parts of an enqueue request.

    Raises InvalidJson, or InvalidRequest, which names the field and the value.
    """
    text = _decode(body)
    return _usual(body, text) or _envelope(body, text, _parsed(text))


_NAME = r'\s*:\s*"([A-Za-z0-9._-]+)"\s*,\s*'
_USUAL = re.compile(rf'\s*\{{\s*"namespace"{_NAME}"queue"{_NAME}"data"\s*:\s*'.replace(r"\s", r"[ \t\n\r]"))
_LAST = re.compile(r"[ \t\n\r]*\}[ \t\n\r]*")


def _usual(body: bytes, text: str) -> Envelope | None:
    """Return the parts of a usual request: the three fields in their usual order, and no errors."""
    match = _USUAL.match(text)
    if match is None:
        return None
    try:
        end = _DECODER.raw_decode(text, match.end())[1]
    except (ValueError, RecursionError):
        return None  # the full parser knows the error
    is_whole = _LAST.fullmatch(text, end) is not None
    return Envelope(match[1], match[2], _cut(body, text, match.end(), end)) if is_whole else None


def parse_replay(body: bytes) -> bytes | None:
    """Return `data` of the body of a replay, or None if it is absent.

    Raises InvalidJson, InvalidRequest.
    """
    text = _decode(body)
    members = _parsed(text) if text else []
    for member in members:
        if member.key != "data":
            raise InvalidRequest(f"unknown key {safe(member.key)!r}; known: data")
    if len(members) > 1:
        raise InvalidRequest("data is given twice")
    return _cut(body, text, members[0].start, members[0].end) if members else None


def _parsed(text: str) -> list[_Member]:
    try:
        members = list(itertools.islice(_members(text), KEY_LIMIT + 1))
    except json.JSONDecodeError as error:
        raise _invalid_json(f"{error.msg} at offset {len(text[: error.pos].encode())}") from None
    except ValueError as error:
        raise _invalid_json(str(error)) from None
    except RecursionError:
        raise _invalid_json("it is nested too deeply") from None
    if len(members) > KEY_LIMIT:
        raise InvalidRequest(f"the body has more than {KEY_LIMIT} keys", "Put the payload into `data`.")
    return members


def check_value(raw: bytes) -> str:
    """Return a text unchanged if it is one JSON value. Raises InvalidJson, which names line and column."""
    try:
        text = raw.decode("utf-8")
        start = _skip(text, 0)
        _expect_end(text, _DECODER.raw_decode(text, start)[1])
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8 at offset {error.start}") from None
    except json.JSONDecodeError as error:
        what = safe(error.msg.removesuffix(" at"))
        raise InvalidJson(f"line {error.lineno}, column {error.colno}: {what}") from None
    except ValueError as error:
        raise InvalidJson(safe(str(error))) from None
    except RecursionError:
        raise InvalidJson("it is nested too deeply") from None
    return text


def _invalid_json(reason: str) -> InvalidJson:
    return InvalidJson(
        f"the body isn't valid JSON: {safe(reason)}",
        'Send {"namespace": "...", "queue": "...", "data": ...}',
    )


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid_json(f"not UTF-8 at offset {error.start}") from None


@record
class _Member:
    key: str
    value: object
    start: int
    end: int


def _members(text: str) -> Iterator[_Member]:
    """Yield the members of the object that the text must be."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        value, end = _DECODER.raw_decode(text, at)
        _expect_end(text, end)
        raise InvalidRequest(f"the body must be a JSON object, not {_kind(value)}")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        member = _member(text, at)
        yield member
        at = _next_member(text, member.end)
    _expect_end(text, at + 1)


def _member(text: str, at: int) -> _Member:
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("expected a property name in double quotes", text, at)
    key, at = _DECODER.raw_decode(text, at)
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise json.JSONDecodeError("expected ':'", text, at)
    start = _skip(text, at + 1)
    value, end = _DECODER.raw_decode(text, start)
    return _Member(key, value, start, end)


def _next_member(text: str, at: int) -> int:
    """Return the position of the next member, or of the closing brace."""
    at = _skip(text, at)
    if text[at : at + 1] == "}":
        return at
    if text[at : at + 1] != ",":
        raise json.JSONDecodeError("expected ',' or '}'", text, at)
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        raise json.JSONDecodeError("expected a property name after ','", text, at)
    return at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect_end(text: str, at: int) -> None:
    end = _skip(text, at)
    if end != len(text):
        raise json.JSONDecodeError("expected the end of the text", text, end)


def _envelope(body: bytes, text: str, members: list[_Member]) -> Envelope:
    known: dict[str, _Member] = {}
    unknown: dict[str, None] = {}
    for member in members:
        if member.key not in FIELDS:
            unknown[member.key] = None
        elif member.key in known:
            raise InvalidRequest(f"{member.key} is given twice")
        else:
            known[member.key] = member
    data = known.get("data")
    raw = b"null" if data is None else _cut(body, text, data.start, data.end)
    namespace, queue = _name("namespace", known, unknown), _name("queue", known, unknown)
    return Envelope(namespace, queue, raw, tuple(unknown), data is None)


def _cut(body: bytes, text: str, start: int, end: int) -> bytes:
    """Return the bytes of a part of the text; without encoding them again if each character is one byte."""
    return body[start:end] if len(body) == len(text) else text[start:end].encode()


def _name(field: str, known: dict[str, _Member], unknown: dict[str, None]) -> str:
    member = known.get(field)
    if member is None:
        close = nearest(field, unknown)[:1]
        hint = f"Did you mean {field} instead of {safe(close[0])}?" if close else MISSING_HINTS[field]
        raise InvalidRequest(f"{field} is missing", hint)
    if not isinstance(member.value, str):
        hint = MISSING_HINTS[field] if member.value is None else ""
        raise InvalidRequest(f"{field} must be a string, not {_kind(member.value)}", hint)
    if len(member.value) > NAME_LIMIT:
        raise InvalidRequest(f"{field} has {len(member.value)} characters; the limit is {NAME_LIMIT}")
    if any("\ud800" <= character <= "\udfff" for character in member.value):
        raise InvalidRequest(f"{field} contains a lone surrogate, which isn't text")
    return member.value


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS[type(value)]


def delivery_body(job_id: str, queue: str, attempt: int, data: bytes) -> bytes:
    """Return the body of a delivery: jobId, queue, attempt, data, in that order.

    Source: platform reference.
    """
    head = f'{{"jobId":"{job_id}","queue":"{queue}","attempt":{attempt},"data":'  # a name needs no escapes
    return head.encode() + data + b"}"
