"""Cron expressions and timezones."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, datetime

import cronsim

FIELDS = 5


def problem(expression: str) -> str | None:
    """Return what a cron expression must be instead, or None if it is valid.

    Source: platform reference; the scheduler takes 5 fields.
    """
    if len(expression.split()) != FIELDS:
        return "must have 5 fields (minute, hour, day, month, weekday)"
    try:
        next_after(expression, "UTC", 0)
    except cronsim.CronSimError as error:
        return f"must be valid ({str(error).lower()})"
    except StopIteration:
        return "must match a date"
    return None


def without_seconds(expression: str) -> str | None:
    """Return the expression without a leading seconds field, or None if that isn't valid either."""
    _, *fields = expression.split() or [""]
    shorter = " ".join(fields)
    return shorter if len(fields) == FIELDS and problem(shorter) is None else None


def next_after(expression: str, timezone: str, ms: int) -> int:
    """Return the first instant after `ms` that the expression matches in that timezone, in ms.

    A time that daylight saving skips is moved to the end of the gap; a time that occurs twice counts once, and every
    `*` keeps its rhythm, as in Debian's cron.
    """
    start = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zoneinfo.ZoneInfo(timezone))
    instant: datetime = next(cronsim.CronSim(expression, start))
    return round(instant.timestamp() * 1000)


def is_timezone(name: str) -> bool:
    """Return whether a timezone has this name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder, not a name
        return False
    return True


def nearest_timezones(name: str, count: int) -> list[str]:
    """Return the names that are most similar."""
    return difflib.get_close_matches(name, sorted(zoneinfo.available_timezones()), count, 0.5) or ["UTC"]
