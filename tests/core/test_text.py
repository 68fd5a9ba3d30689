"""Safe text, times and durations for people."""

from __future__ import annotations

import pytest

from localqueue.core import text
from localqueue.core.text import nearest, safe
from localqueue.core.times import duration, iso


def test_foreign_text_never_controls_the_terminal() -> None:
    """Rule security.terminal."""
    assert safe("a\x1b[31m\x9b\u202e\u2028\r\n") == r"a\x1b[31m\x9b\u202e\u2028\x0d\x0a"
    assert len(safe("x" * 1000)) == 200


def test_times_and_durations_read_well() -> None:
    assert iso(1_767_225_600_007) == "2026-01-01T00:00:00.007Z"
    assert [duration(ms) for ms in (12, 5000, 125_000, 7_260_000)] == ["12 ms", "5 s", "2 min 5 s", "2 h 1 min"]


def test_of_thousands_of_names_only_the_likely_ones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    likeness = text._likeness

    def counting(word: str, other: str) -> float:
        compared.append(other)
        return likeness(word, other)

    monkeypatch.setattr(text, "_likeness", counting)
    names = [f"queue-{number}" for number in range(5000)] + ["process-claim"]
    found = nearest("proces-cliam", names)
    assert found[0] == "process-claim"
    assert sorted(found) == sorted(names)
    assert len(compared) == text.MOST


def test_a_long_name_is_compared_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(text, "_likeness", lambda word, other: lengths.append(len(word) + len(other)) or 0.0)
    nearest("w" * 1_000_000, ["v" * 1_000_000])
    assert lengths == [2 * text.LONGEST]
