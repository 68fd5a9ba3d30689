"""Write times for people, and read times that they type. No other code uses the terminal's time zone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from localqueue.core.times import parse_time


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """The format of a server's times: local, or UTC with a `Z`. `parse` reads every time that it writes."""

    is_utc: bool

    @classmethod
    def on(cls, clock: str, is_utc: bool) -> TimeFormat:
        """Return the format for a clock. Virtual time is always in UTC, as is local time in most containers."""
        is_zone_utc = datetime.fromtimestamp(0).astimezone().tzname() == "UTC"
        return cls(is_utc or clock == "virtual" or is_zone_utc)

    def full(self, ms: int) -> str:
        """Return a time in ms since the epoch with its date: `2026-11-30 09:12:04.411`, or with a `Z` in UTC."""
        at = self._at(ms)
        return at.replace(tzinfo=None).isoformat(" ", "milliseconds") + self._mark(at)

    def time_of_day(self, ms: int) -> str:
        """Return a time without its date: `09:12:04.411`."""
        return self.full(ms).partition(" ")[2]

    def moment(self, ms: int, now_ms: int) -> str:
        """Return a time, with its date if that isn't today's."""
        is_today = self._at(ms).date() == self._at(now_ms).date()
        return self.time_of_day(ms) if is_today else self.full(ms)

    def parse(self, text: str, now_ms: int) -> int:
        """Return an ISO 8601 time in ms since the epoch. Without an offset, it is in the zone of this format.

        A time without a date is its latest occurrence before `now_ms`. Raises ValueError.
        """
        at = _time_of_day(text)
        if at is None:
            return parse_time(text, is_local=not self.is_utc)
        today = _at(now_ms, at.tzinfo or self._zone).date()
        ms = self.parse(f"{today}T{at.isoformat()}", now_ms)
        return ms if ms <= now_ms else self.parse(f"{today - timedelta(days=1)}T{at.isoformat()}", now_ms)

    @property
    def _zone(self) -> tzinfo | None:
        return UTC if self.is_utc else None

    def _at(self, ms: int) -> datetime:
        return _at(ms, self._zone)

    def _mark(self, at: datetime) -> str:
        """Return `Z`, or the offset in the hour that daylight saving time repeats; else nothing."""
        if self.is_utc:
            return "Z"
        is_repeated = at.replace(fold=0).timestamp() != at.replace(fold=1).timestamp()
        return at.astimezone().isoformat()[-6:] if is_repeated else ""


def read_clock(clock: Mapping[str, Any], is_utc: bool) -> tuple[TimeFormat, int]:
    """Return the format for a server's clock, as its API describes it, and its time in ms since the epoch."""
    return TimeFormat.on(clock["mode"], is_utc), parse_time(clock["now"])


def _at(ms: int, zone: tzinfo | None) -> datetime:
    """Return a time in a zone, or as a naive local time for None."""
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, zone).replace(microsecond=rest * 1000)


def _time_of_day(text: str) -> time | None:
    """Return a time that has no date, such as `09:12`, or None."""
    with contextlib.suppress(ValueError):
        return time.fromisoformat(text) if ":" in text else None
    return None
