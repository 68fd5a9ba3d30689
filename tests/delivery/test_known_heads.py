"""A response with a known head isn't parsed, and means the same as one that is."""

from __future__ import annotations

from typing import Any

import pytest

from localqueue.delivery import response_parser
from tests.delivery.behaviors import CHUNKED

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Large: %b\r\n\r\nab" % (b"x" * response_parser.KNOWN_HEAD_LIMIT)


@pytest.fixture(autouse=True)
def _nothing_is_known(parser, monkeypatch) -> None:
    monkeypatch.setattr(parser, "_known", {})


def read(parser: Any, *pieces: bytes) -> tuple[Any, ...]:
    """Return everything that a parser says of a response."""
    response = parser()
    for piece in pieces:
        response.feed(piece)
    return response.status, response.headers, response.take(), response.is_complete, response.is_reusable


def test_a_known_head_is_not_parsed_again(parser, monkeypatch) -> None:
    first = read(parser, HEAD + b"ab")
    assert first == (200, [(b"Content-Type", b"text/plain"), (b"Content-Length", b"2")], b"ab", True, True)
    monkeypatch.setattr(parser, "_parse", None)
    assert read(parser, HEAD + b"cd") == (*first[:2], b"cd", True, True)


@pytest.mark.parametrize(
    "pieces",
    [[HEAD, b"cd"], [HEAD + b"c"], [HEAD + b"c", b"d"], [HEAD + b"cd", b"x"], [HEAD + b"cdx"], [HEAD + b"cd" + HEAD]],
    ids=["in two pieces", "less so far", "the rest later", "stray bytes later", "stray bytes", "a second head"],
)
def test_anything_but_one_whole_response_is_parsed(parser, pieces) -> None:
    parsed = read(parser, *pieces)
    read(parser, HEAD + b"ab")
    assert HEAD in parser._known
    assert read(parser, *pieces) == parsed


@pytest.mark.parametrize(
    "raw",
    [
        HEAD.replace(b"Type", b"Type: x\r\nConnection: close\r\nX") + b"ab",
        HEAD.replace(b"1.1", b"1.0") + b"ab",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"ab",
        CHUNKED + b"2\r\nab\r\n0\r\n\r\n",
        HEAD + b"abx",
        LARGE,
    ],
    ids=["closes", "HTTP/1.0", "100 first", "chunked", "stray bytes", "large"],
)
def test_only_heads_after_which_nothing_is_in_doubt_are_remembered(parser, raw) -> None:
    read(parser, raw)
    assert not parser._known


def test_few_heads_are_remembered(parser, monkeypatch) -> None:
    monkeypatch.setattr(response_parser, "MAX_KNOWN_HEADS", 2)
    for day in range(5):
        read(parser, HEAD.replace(b"OK\r\n", b"OK\r\nDate: %d\r\n" % day) + b"ab")
        assert 1 <= len(parser._known) <= 2
