"""Compare the data of a job with what a test expects, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

Reason = Callable[[], str]
"""Says where two values differ; a text for each of thousands of jobs would take longer than comparing them."""
ANY = object()
"""Accepts every payload."""


@dataclass(frozen=True)
class Matcher:
    """A condition on the data of a job: what it must be, must contain, and a function that it must satisfy."""

    data: Any = ANY
    data_contains: Any = ANY
    where: Callable[[Any], object] | None = None

    def matches(self, data: Any) -> bool:
        """Return whether the data of a job matches. Raises what `where` raises."""
        return self._reason(data) is None

    def mismatch(self, data: Any) -> str | None:
        """Return why the data of a job doesn't match, or None. Raises what `where` raises."""
        reason = self._reason(data)
        return None if reason is None else reason()

    def _reason(self, data: Any) -> Reason | None:
        reason = None if self.data is ANY else _difference(self.data, data)
        if reason is None and self.data_contains is not ANY:
            reason = _difference(self.data_contains, data, is_partial=True)
        if reason is None and self.where is not None and not self.where(data):
            return lambda: "`where` returned a false value"
        return reason

    def __str__(self) -> str:
        parts = [] if self.data is ANY else [f"with data {shown(self.data)}"]
        parts += [] if self.data_contains is ANY else [f"with data that contains {shown(self.data_contains)}"]
        parts += [] if self.where is None else ["for which `where` is true"]
        return " and ".join(parts)


def difference(expected: Any, actual: Any, is_partial: bool = False, path: str = "") -> str | None:
    """Return where JSON differs from what is expected, None if nowhere.

    Tuples are lists and keys are strings, as in JSON; anything else decides with its own `==`, such as `mock.ANY`.
    Where `is_partial`, objects may have further keys, at any depth.
    """
    reason = _difference(expected, actual, is_partial, path)
    return None if reason is None else reason()


def _difference(expected: Any, actual: Any, is_partial: bool = False, path: str = "") -> Reason | None:
    if isinstance(expected, Mapping):
        return _object_difference(expected, actual, is_partial, path)
    if isinstance(expected, list | tuple):
        return _array_difference(expected, actual, is_partial, path)
    return None if _equals(expected, actual) else partial(_differs, path, expected, actual)


def shown(data: Any) -> str:
    """Return data for a message: as JSON, with the `repr` of what JSON doesn't have."""
    try:
        return json.dumps(data, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(data)


def _equals(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool | int | float) and isinstance(expected, bool) is not isinstance(actual, bool):
        return False  # in JSON, true isn't 1
    return bool(expected == actual)


def _object_difference(expected: Mapping[Any, Any], actual: Any, is_partial: bool, path: str) -> Reason | None:
    if not isinstance(actual, dict):
        return partial(_differs, path, expected, actual)
    keyed = {_key(key): value for key, value in expected.items()}
    for key in keyed:
        if key not in actual:
            return partial("{} is missing".format, _at(path, key))
    for key in actual:
        if key not in keyed and not is_partial:
            return partial("{} is unexpected".format, _at(path, key))
    reasons = (_difference(value, actual[key], is_partial, _at(path, key)) for key, value in keyed.items())
    return next((reason for reason in reasons if reason is not None), None)


def _array_difference(expected: Sequence[Any], actual: Any, is_partial: bool, path: str) -> Reason | None:
    if not isinstance(actual, list):
        return partial(_differs, path, expected, actual)
    if len(actual) != len(expected):
        return partial("{} has {} elements, not {}".format, path or "the array", len(actual), len(expected))
    pairs = enumerate(zip(expected, actual, strict=True))
    reasons = (_difference(element, other, is_partial, f"{path}[{index}]") for index, (element, other) in pairs)
    return next((reason for reason in reasons if reason is not None), None)


def _differs(path: str, expected: Any, actual: Any) -> str:
    return f"{path + ' ' if path else ''}is {shown(actual)}, not {shown(expected)}"


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _key(key: Any) -> str:
    """Return a key as `json.dumps` writes it."""
    if isinstance(key, str):
        return key
    return "null" if key is None else json.dumps(key) if isinstance(key, bool | int | float) else repr(key)
