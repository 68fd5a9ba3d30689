"""How `assert_enqueued` compares data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from unittest import mock

import pytest

from localqueue.testing.matching import Matcher, difference


class Color(enum.StrEnum):
    RED = "red"


class Close:
    """A matcher such as those of dirty-equals or pytest.approx."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(other - 1) < 0.1

    def __repr__(self) -> str:
        return "Close(1)"

    __hash__ = None  # type: ignore[assignment]


SAME: list[tuple[Any, Any]] = [
    (None, None),
    ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}),
    ((1, (2, 3)), [1, [2, 3]]),
    ({7: "x", True: 1, None: 2, 1.5: 3}, {"7": "x", "true": 1, "null": 2, "1.5": 3}),
    ({"id": mock.ANY}, {"id": "3ed58c46"}),
    (mock.ANY, {"x": 1}),
    (mock.ANY, True),
    ({"price": Close()}, {"price": 1.05}),
    ({"price": pytest.approx(1.0, abs=0.1)}, {"price": 1.05}),
    ({"color": Color.RED}, {"color": "red"}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (1, 1.0),
]
DIFFERENT: list[tuple[Any, Any, str]] = [
    (1, 2, "is 2, not 1"),
    ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, "a.b[1].c is 3, not 2"),
    ({"a": 1}, {}, "a is missing"),
    ({}, {"a": 1}, "a is unexpected"),
    ([1], [1, 2], "the array has 2 elements, not 1"),
    ({"a": [1]}, {"a": {}}, "a is {}, not [1]"),
    ({"a": {}}, {"a": []}, "a is [], not {}"),
    (1, True, "is true, not 1"),
    (True, 1, "is 1, not true"),
    ("1", 1, 'is 1, not "1"'),
    ({"price": Close()}, {"price": 3.0}, 'price is 3.0, not "Close(1)"'),
    ("é", "e", 'is "e", not "é"'),
]


@pytest.mark.parametrize(("expected", "actual"), SAME)
def test_data_is_compared_as_json_and_matchers_decide_for_themselves(expected: Any, actual: Any) -> None:
    """Rule testing.matching."""
    assert difference(expected, actual) is None
    assert difference(expected, actual, is_partial=True) is None


@pytest.mark.parametrize(("expected", "actual", "where"), DIFFERENT)
def test_a_difference_names_its_place_and_both_values(expected: Any, actual: Any, where: str) -> None:
    assert difference(expected, actual) == where


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ({}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}),
    ],
)
def test_a_part_may_lack_keys_at_any_depth(part: Mapping[str, Any], whole: Any) -> None:
    """Rule testing.matching."""
    assert difference(part, whole, is_partial=True) is None
    assert difference(part, whole) is not None


@pytest.mark.parametrize(("part", "whole"), [({"a": 1}, {"b": 1}), ({"a": [1]}, {"a": [1, 2]}), ({"a": 1}, [])])
def test_a_part_must_be_there(part: Any, whole: Any) -> None:
    assert difference(part, whole, is_partial=True) is not None


def test_all_conditions_must_hold_and_the_message_names_them() -> None:
    matcher = Matcher(data_contains={"a": 1}, where=lambda data: data["b"] > 1)
    assert matcher.mismatch({"a": 1, "b": 2}) is None
    assert matcher.mismatch({"a": 1, "b": 1}) == "`where` returned a false value"
    assert matcher.mismatch({"a": 2, "b": 2}) == "a is 2, not 1"
    assert str(matcher) == 'with data that contains {"a": 1} and for which `where` is true'
    assert str(Matcher({"a": mock.ANY})) == 'with data {"a": "<ANY>"}'
