"""The clocks: no other module asks the system for the time or sleeps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol, TypeVar

from localqueue.core.real_time import monotonic, sleep, system_time

T = TypeVar("T")
JUMP_MS = 1000
"""A difference between wall and monotonic time over this is a jump (a set clock, a laptop that slept)."""
LAG_S = 0.05
"""If the event loop ends a deadline later than this, it was held up: a long step, a stopped process."""


def wait_until(condition: Callable[[], bool], timeout_s: float, period_s: float = 0.005) -> bool:
    """Poll until the condition holds, for at most `timeout_s`; return whether it holds. For threads without a loop."""
    end = monotonic() + timeout_s
    while not (is_met := condition()) and monotonic() < end:
        sleep(period_s)
    return is_met


async def yield_to_others() -> None:
    """Let other tasks run."""
    await asyncio.sleep(0)


async def in_steps(items: Iterable[T], size: int = 100) -> AsyncIterator[T]:
    """Yield the items, and let other tasks run after every hundred: a request may have 100,000 of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % size == 0:
            await yield_to_others()


async def delay(seconds: float) -> None:
    """Return after some real time. For tasks of a loop."""
    await asyncio.sleep(seconds)


def pause(seconds: float) -> None:
    """Return after some real time. For threads without a loop."""
    sleep(seconds)


class Deadline:
    """A deadline: `asyncio.timeout` at a third of its cost, for the two places that every job passes.

    Raises TimeoutError if the block takes longer than `seconds`. It can be entered once. While it is held, the block
    may take any time; afterwards all of its seconds again. If the event loop was held up, the block gets that time once
    more: what arrived meanwhile hasn't been read yet.
    """

    __slots__ = ("_cancelling", "_handle", "_is_extended", "_is_over", "_seconds", "_task", "is_held")

    def __init__(self, seconds: float, *, is_held: bool = False) -> None:
        self._seconds = seconds
        self._is_over = False
        self._is_extended = False
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self.is_held = is_held

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        self._arm()

    def hold(self, is_held: bool) -> None:
        """Hold the deadline, or release it: it ends its full time from now."""
        self.is_held = is_held
        if self._task is not None and not self._is_over:
            self._arm()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None if self.is_held else asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        assert self._handle is not None
        loop = asyncio.get_running_loop()
        late = loop.time() - self._handle.when()
        if late > LAG_S and not self._is_extended:
            self._is_extended = True
            self._handle = loop.call_later(min(late, self._seconds), self._end)
            return
        self._is_over = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task, self._task = self._task, None  # what is held and released later must not end what comes after the block
        if self._handle is not None:
            self._handle.cancel()
        if self._is_over and task is not None:
            was_cancelled_too = task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not was_cancelled_too:
                raise TimeoutError


class Clock(Protocol):
    """The source of time for everything else; times are ms since the epoch."""

    @property
    def mode(self) -> str:
        """Return `wall` or `virtual`."""

    def now(self) -> int:
        """Return the time, rounded down to ms; it never goes back."""

    def now_rounded_up(self) -> int:
        """Return the time, rounded up to ms: a delay counted from the end of an attempt is never too short."""

    def monotonic(self) -> float:
        """Return seconds that only measure how long something took."""

    def uncounted(self, duration_ms: int) -> int:
        """Return the part of an expired timeout or a scripted duration that this clock hasn't counted yet, in ms."""

    @property
    def offset_ms(self) -> int:
        """Return by how much `advance` has moved the time of this process, in ms."""

    def advance(self, to: int) -> None:
        """Move the time forward; an earlier time does nothing."""

    def reset(self) -> None:
        """Undo every `advance`."""

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        """Return at about `until` or when `wake` is set; the caller looks at the time again."""

    async def sleep(self, seconds: float) -> None:
        """Return after some real time, for housekeeping."""


class WallClock:
    """The system clock, which is followed forwards but never backwards, plus what `advance` has added.

    Time runs with the monotonic clock. If the system clock is ahead of it (it was set, or the laptop slept), it is
    followed; if it is behind, it is ignored. So nothing becomes due twice, or waits for an hour, because somebody set
    the clock (our decision).
    """

    mode = "wall"

    def __init__(self) -> None:
        self._ahead = system_time() - monotonic()
        self._offset_ms = 0

    def now(self) -> int:
        """Return ms since the epoch, rounded down."""
        return math.floor(self._system_s() * 1000) + self._offset_ms

    def now_rounded_up(self) -> int:
        """Return ms since the epoch, rounded up."""
        return math.ceil(self._system_s() * 1000) + self._offset_ms

    def _system_s(self) -> float:
        """Return the time without the offset: added to a fraction, whole milliseconds would be rounded away."""
        ahead = system_time() - monotonic()
        if ahead - self._ahead > JUMP_MS / 1000:
            self._ahead = ahead
        return monotonic() + self._ahead

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return monotonic()

    def uncounted(self, duration_ms: int) -> int:
        """Return 0: a timeout takes real time, which this clock has counted."""
        return 0

    @property
    def offset_ms(self) -> int:
        """Return what `advance` has added, in ms."""
        return self._offset_ms

    def advance(self, to: int) -> None:
        """Move the time forward by an offset; running deadlines don't depend on it."""
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
    """A clock that stands still until it is advanced.

    It may be advanced only while no request is running and no commit is pending, because a response belongs to the
    instant at which its attempt started. `timeline` ensures that.
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

    def uncounted(self, duration_ms: int) -> int:
        """Return the whole duration: this clock has counted none of it."""
        return duration_ms

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
        """Return when `wake` is set: this clock doesn't move by waiting."""
        await wake.wait()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        await asyncio.sleep(seconds)
