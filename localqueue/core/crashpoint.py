"""The named points at which `--crash-at` ends the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localqueue.core.text import nearest, safe

POINTS = {
    "before-send": "an attempt has started and nothing was sent",
    "after-send": "the service has responded and the result isn't stored",
    "before-commit": "changes are about to be stored",
    "after-commit": "changes are stored and nobody has been told",
}
MOST = 1_000_000


@dataclass(slots=True)
class _Crash:
    point: str
    left: int
    end: Callable[[str], None]


_crash: _Crash | None = None


def parse(text: str) -> tuple[str, int]:
    """Return the point and the number of times that it is reached before the crash. Raises ValueError."""
    point, colon, number = text.partition(":")
    if point not in POINTS:
        raise ValueError(f"unknown point {safe(point)!r}; points: {', '.join(nearest(point, POINTS))}")
    if colon and not (number.isdecimal() and number.isascii() and 1 <= int(number[:9]) <= MOST and len(number) < 9):
        raise ValueError(f"{safe(number)!r} must be a whole number from 1 to {MOST}")
    return point, int(number) if colon else 1


def arm(text: str, end: Callable[[str], None]) -> None:
    """Call `end` with the text once the point has been reached often enough. Raises ValueError."""
    global _crash
    point, times = parse(text)
    _crash = _Crash(point, times, lambda _: end(text))


def reach(point: str) -> None:
    """Crash if this is the requested point for the requested time."""
    if _crash is not None and _crash.point == point:
        _crash.left -= 1
        if _crash.left == 0:
            _crash.end(point)
