"""Decide what time it is and how one waits: no other module asks the system for the time or sleeps."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

JUMP_MS = 1000
"""A difference between wall and monotonic time over this is a jump (a set clock, a laptop that slept)."""


def wait_until(condition: Callable[[], bool], timeout_s: float, period_s: float = 0.005) -> bool:
    """Ask until the answer is yes, for `timeout_s` at the most; return the last answer. For threads without a loop."""
    end = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(period_s)
    return found


async def breathe() -> None:
    """Let everybody else have a turn."""
    await asyncio.sleep(0)


def pause(seconds: float) -> None:
    """Return after some real time. For threads without a loop."""
    time.sleep(seconds)


class Deadline:
    """Be `asyncio.timeout` for the two places that every job passes, at a third of its price.

    Raises TimeoutError where the block is not left within `seconds`; a block is entered once.
    """

    __slots__ = ("_cancelling", "_handle", "_is_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._handle.cancel()
        if self._is_over and self._task is not None:
            was_cancelled_too = self._task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not was_cancelled_too:
                raise TimeoutError


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

    def uncounted(self, timeout_ms: int) -> int:
        """Return how much of a timeout that is over has not gone by on this clock, in ms."""

    @property
    def offset_ms(self) -> int:
        """Return by how much `advance` has moved the time of this process, in ms."""

    def advance(self, to: int) -> None:
        """Move the time forward; earlier than now does nothing."""

    def reset(self) -> None:
        """Undo every `advance`."""

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        """Return at about `until` or when `wake` is set; the caller looks at the time again."""

    async def sleep(self, seconds: float) -> None:
        """Return after some real time, for housekeeping."""


class WallClock:
    """Follow the system's clock forwards, never backwards, plus what `advance` has added.

    Time runs with the monotonic clock. Where the system's clock is found ahead of it (a jump forwards, a
    laptop that slept) it is followed; where it is found behind, it is not: nothing becomes due twice or
    waits for an hour because somebody set the clock (our decision).
    """

    mode = "wall"

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()
        self._offset_ms = 0

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
        return time.monotonic() + self._ahead + self._offset_ms / 1000

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def uncounted(self, timeout_ms: int) -> int:
        """Return 0: a timeout takes real time, and that has gone by."""
        return 0

    @property
    def offset_ms(self) -> int:
        """Return what `advance` has added, in ms."""
        return self._offset_ms

    def advance(self, to: int) -> None:
        """Move the time forward by an offset; deadlines under way are measured otherwise."""
        self._offset_ms += max(to - self.now(), 0)

    def reset(self) -> None:
        """Set the offset to 0."""
        self._offset_ms = 0

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


class VirtualClock:
    """Stand still until it is advanced.

    It may be advanced only while nothing is on the wire and no commit is pending: an answer that comes in
    belongs to the instant at which its attempt was started. `timeline` holds that.
    """

    mode = "virtual"

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self._now_ms = start_ms

    def now(self) -> int:
        """Return ms since the epoch."""
        return self._now_ms

    def now_rounded_up(self) -> int:
        """Return the same as `now`."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return virtual seconds: an attempt takes none."""
        return self._now_ms / 1000

    def uncounted(self, timeout_ms: int) -> int:
        """Return the whole timeout: it has been proven in real time, none of it has gone by here."""
        return timeout_ms

    @property
    def offset_ms(self) -> int:
        """Return the distance from the start, in ms."""
        return self._now_ms - self._start_ms

    def advance(self, to: int) -> None:
        """Jump to an instant."""
        self._now_ms = max(self._now_ms, to)

    def reset(self) -> None:
        """Go back to the start."""
        self._now_ms = self._start_ms

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        """Return when `wake` is set: nothing happens here by waiting."""
        await wake.wait()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        await asyncio.sleep(seconds)
