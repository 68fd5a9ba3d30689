"""Safe text, times and durations for people."""

from __future__ import annotations

from localqueue.core.text import safe
from localqueue.core.times import duration, iso


def test_foreign_text_never_controls_the_terminal() -> None:
    """Rule security.terminal."""
    assert safe("a\x1b[31m\x9b\u202e\u2028\r\n") == r"a\x1b[31m\x9b\u202e\u2028\x0d\x0a"
    assert len(safe("x" * 1000)) == 200


def test_times_and_durations_read_well() -> None:
    assert iso(1_767_225_600_007) == "2026-01-01T00:00:00.007Z"
    assert [duration(ms) for ms in (12, 5000, 125_000, 7_260_000)] == ["12 ms", "5 s", "2 min 5 s", "2 h 1 min"]
