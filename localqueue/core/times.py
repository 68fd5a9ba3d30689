"""Convert instants and durations between integer milliseconds and text."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta

from localqueue.core.text import safe

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
LATEST_MS = 221_845_392_000_000  # the year 9000: ISO 8601 in Python ends with 9999
DAY_MS = 24 * 3600 * 1000
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)")


@functools.lru_cache(maxsize=1024)
def iso(ms: int) -> str:
    """Return a time in ms since the epoch as ISO 8601 in UTC with milliseconds."""
    return (_NAIVE_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: str, *, is_local: bool = False) -> int:
    """Return an ISO 8601 time in ms since the epoch; without an offset it is UTC, or local. Raises ValueError."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.astimezone() if is_local else instant.replace(tzinfo=UTC)
        ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{safe(text)!r} isn't a time; use one like 2026-01-01T00:00:00.000Z") from None
    if not 0 <= ms <= LATEST_MS:
        raise ValueError(f"{safe(text)!r} isn't a time between the years 1970 and 9000")
    return ms


def parse_duration(text: str) -> int:
    """Return `250ms`, `5s`, `2m`, `24h` or `7d` in ms. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{safe(text)!r} isn't a duration; use one like 250ms, 5s, 2m, 24h or 7d")
    return round(float(match[1]) * _UNITS[match[2]])


def offset(ms: int) -> str:
    """Return a distance in time as `+5.000s`."""
    return f"{'-' if ms < 0 else '+'}{abs(ms) // 1000}.{abs(ms) % 1000:03d}s"


def distance(ms: int) -> str:
    """Return how far away an instant is, for people: `in 3.2 s`, `5 s ago`, `just now`."""
    if ms == 0:
        return "just now"
    return f"in {duration(ms)}" if ms > 0 else f"{duration(-ms)} ago"


def duration(ms: int) -> str:
    """Return a duration in ms for people: `12 ms`, `1.5 s`, `2 min 5 s`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f}".removesuffix(".0") + " s"
    if ms < 3_600_000:
        return _two(ms // 1000, 60, "min", "s")
    return _two(ms // 60_000, 60, "h", "min") if ms < 172_800_000 else _two(ms // 3_600_000, 24, "d", "h")


def _two(count: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(count, size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
