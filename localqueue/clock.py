"""Decide what time it is and how one waits: no other module asks the system for the time or sleeps."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

JUMP_MS = 1000
"""A difference between wall and monotonic time over this is a jump (a set clock, a laptop that slept)."""


class Clock(Protocol):
    """Give the time to everything that needs one; times are ms since the epoch."""

    @property
    def mode(self) -> str:
        """Return `wall` or `virtual`."""

    def now(self) -> int:
        """Return the time, rounded down to ms; it never goes back."""

    def now_rounded_up(self) -> int:
        """Return the time, rounded up: for ends, so that a delay counted from one is never too short."""

    def monotonic(self) -> float:
        """Return seconds that only measure how long something took."""

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        """Return at about `until` or when `wake` is set; the caller looks at the time again."""

    async def sleep(self, seconds: float) -> None:
        """Return after some real time, for housekeeping."""


class WallClock:
    """Follow the system's clock forwards, never backwards.

    Time runs with the monotonic clock. Where the system's clock is found ahead of it (a jump forwards, a
    laptop that slept) it is followed; where it is found behind, it is not: nothing becomes due twice or
    waits for an hour because somebody set the clock (our decision).
    """

    mode = "wall"

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def now(self) -> int:
        """Return ms since the epoch, rounded down."""
        return math.floor(self._time() * 1000)

    def now_rounded_up(self) -> int:
        """Return ms since the epoch, rounded up."""
        return math.ceil(self._time() * 1000)

    def _time(self) -> float:
        ahead = time.time() - time.monotonic()
        if ahead - self._ahead > JUMP_MS / 1000:
            self._ahead = ahead
        return time.monotonic() + self._ahead

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        """Return at about `until` or when `wake` is set; the caller looks at the time again."""
        if until is None:
            await wake.wait()
            return
        loop = asyncio.get_running_loop()
        handle = loop.call_later(max(until - self.now(), 0) / 1000, wake.set)
        try:
            await wake.wait()
        finally:
            handle.cancel()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        await asyncio.sleep(seconds)
