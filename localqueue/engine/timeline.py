"""Move time: `advance` and `drain`, on either clock, with the same dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import Firing, QueueKey
from localqueue.core.records import copy_with
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.running_attempts import AttemptBatch
from localqueue.engine.schedules import Schedules
from localqueue.store.store import Store

StoppedBy = Literal["timeout", "reset", "shutdown"]
Until = int | None
"""An instant in ms, or None: until every job has finished."""


@dataclass(frozen=True, slots=True)
class PlayResult:
    """The attempts and firings that ended, without responses, and what stopped the call early, None if nothing did."""

    attempts: list[events.AttemptEnded] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    stopped_by: StoppedBy | None = None


class Timeline(ABC):
    """The order in which due jobs run, for one caller at a time. `arrivals` counts the jobs that were enqueued."""

    def __init__(
        self,
        clock: Clock,
        dispatcher: Dispatcher,
        store: Store,
        hub: events.Hub,
        schedules: Schedules,
        arrivals: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._dispatcher = dispatcher
        self._store = store
        self._hub = hub
        self._schedules = schedules
        self._arrivals = arrivals
        self._lock = asyncio.Lock()
        self._playing: asyncio.Task[None] | None = None
        self._interruptions = 0

    @abstractmethod
    async def run(self) -> None:
        """Start due jobs without being asked, if the clock runs; return when the dispatcher stops."""

    @abstractmethod
    async def _play(self, until: Until) -> None:
        """Run every attempt that is due by then."""

    @abstractmethod
    async def _play_first(self) -> None:
        """Run the first attempt that can start, at its due time. Raises InvalidRequest if the clock runs."""

    @abstractmethod
    async def _rest(self) -> None:
        """Return when the next due time is known."""

    @abstractmethod
    def _is_over(self, until: Until) -> bool:
        """Return whether nothing is due by then."""

    async def advance_by(self, ms: int, settle_ms: int, timeout_ms: int | None) -> PlayResult:
        """Advance the clock by `ms`, run everything due by then, and return the attempts.

        With `settle_ms`, return only after that much real time without a new job. Every move ends after
        `timeout_ms` of real time: a handler that enqueues into its own queue would otherwise run for ever.
        """

        async def end() -> int:
            return self._clock.now() + ms

        return await self._guarded(lambda: self._play_to(end, settle_ms), timeout_ms)

    async def advance_to(self, to_ms: int, settle_ms: int, timeout_ms: int | None) -> PlayResult:
        """Advance the clock to an instant; a past one runs only what is due now."""

        async def end() -> int:
            return max(to_ms, self._clock.now())

        return await self._guarded(lambda: self._play_to(end, settle_ms), timeout_ms)

    async def advance_to_next(self, settle_ms: int, timeout_ms: int | None) -> PlayResult:
        """Advance the clock to the next due time; if nothing is due, leave it."""
        return await self._guarded(lambda: self._play_to(self._next_due, settle_ms), timeout_ms)

    async def step(self, timeout_ms: int | None) -> PlayResult:
        """Run the first attempt that can start, at its due time. Raises InvalidRequest if the clock runs."""
        return await self._guarded(self._play_first, timeout_ms)

    async def drain(self, timeout_ms: int, settle_ms: int, is_wanted: Callable[[QueueKey], bool]) -> PlayResult:
        """Run until no job waits, runs or waits for a retry; held jobs and those of unwanted queues don't count."""

        async def play() -> None:
            with self._dispatcher.only(is_wanted):
                await self._play_and_settle(None, settle_ms)

        return await self._guarded(play, timeout_ms)

    async def interrupt(self, work: Callable[[], Awaitable[None]]) -> None:
        """End every running `advance` and `drain`, then do `work` while no other one can start."""
        self._interruptions += 1
        if self._playing is not None:
            self._playing.cancel()
        async with self._lock:
            await work()

    async def _next_due(self) -> Until:
        """Return the next due time in ms, now at the earliest; None if nothing is due."""
        await self._rest()
        due = _first(self._dispatcher.next_due(), self._schedules.next_due())
        return None if due is None else max(due, self._clock.now())

    def _move(self, to_ms: int) -> None:
        before = self._clock.now()
        self._clock.advance(to_ms)
        if to_ms > before:
            self._hub(events.TimeMoved(self._clock.now(), self._clock.offset_ms))

    async def _guarded(self, play: Callable[[], Coroutine[Any, Any, None]], timeout_ms: int | None) -> PlayResult:
        """Play when it is this caller's turn, for at most `timeout_ms`, and collect what ends meanwhile.

        It plays in a separate task, so that a reset can end it without ending the caller.
        """
        ended = PlayResult()
        interruptions = self._interruptions
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000), self._lock:
                if self._interruptions == interruptions and await self._finished(play(), ended):
                    return ended
        except TimeoutError:
            return replace(ended, stopped_by="timeout")
        return replace(ended, stopped_by="shutdown" if self._dispatcher.is_stopping else "reset")

    async def _finished(self, playing: Coroutine[Any, Any, None], ended: PlayResult) -> bool:
        """Play in a task; return whether it finished."""
        task = self._playing = asyncio.create_task(playing)
        try:
            with self._collecting(ended):
                await asyncio.wait([task])
            if task.cancelled():
                return False
            task.result()
            return not self._dispatcher.is_stopping
        finally:
            self._playing = None
            if not task.done():  # the next caller waits until it has restored what it has suspended
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            elif not task.cancelled():
                task.exception()  # a caller that was cancelled won't ask

    async def _play_to(self, end: Callable[[], Awaitable[Until]], settle_ms: int) -> None:
        until = await end()
        if until is not None:
            await self._play_and_settle(until, settle_ms)

    async def _play_and_settle(self, until: Until, settle_ms: int) -> None:
        while True:
            await self._play(until)
            seen = self._arrivals()
            if not settle_ms or self._dispatcher.is_stopping:
                return
            await self._clock.sleep(settle_ms / 1000)
            await self._rest()  # a queue that was declared meanwhile may have stored jobs
            if self._arrivals() == seen and self._is_over(until):
                return

    @contextlib.contextmanager
    def _collecting(self, ended: PlayResult) -> Iterator[None]:
        def collect(event: events.Event) -> None:
            if isinstance(event, events.AttemptEnded):
                ended.attempts.append(copy_with(event, attempt=event.attempt.without_response()))
            elif isinstance(event, events.ScheduleFired):
                ended.firings.append(event.firing.without_response())

        with self._hub.listening(collect):
            yield


class WallTimeline(Timeline):
    """The timeline of real time: due jobs start without being asked, so advancing moves the offset and waits."""

    async def run(self) -> None:
        """Start every job and fire every schedule when it is due."""
        firing = asyncio.create_task(self._schedules.run(), name="schedules")
        try:
            await self._dispatcher.run()
        finally:
            firing.cancel()
            await asyncio.wait([firing])

    async def _play(self, until: Until) -> None:
        if until is not None:
            self._move(until)
            self._schedules.fire_due()
            self._schedules.wake()
            self._dispatcher.wake()
        await self._schedules.wait_idle()
        while not self._dispatcher.is_drained(until) and not self._dispatcher.is_stopping:
            await self._dispatcher.next_change()

    async def _play_first(self) -> None:
        raise InvalidRequest(
            "a single attempt can only be run on the virtual clock",
            "Start the server with: localqueue up --clock virtual",
        )

    async def _rest(self) -> None:
        await self._dispatcher.wait_loaded()

    def _is_over(self, until: Until) -> bool:
        return self._dispatcher.is_drained(until)


class VirtualTimeline(Timeline):
    """The timeline of virtual time, played instant by instant.

    At each instant it starts what is due and has a slot, waits until those attempts have ended and are on disk, and
    starts what has become possible at the same instant. Then it moves to the next due time. Time never moves while a
    request is running or a commit is pending. A handler that keeps working after its response is not seen;
    `settle_ms` is for that.
    """

    async def run(self) -> None:
        """Start nothing; only `advance` and `drain` do."""
        while not self._dispatcher.is_stopping:
            await self._dispatcher.next_change()

    async def _play(self, until: Until) -> None:
        await self._move_through(lambda: self._next_instant(until), self._play_instant)

    async def _play_first(self) -> None:
        await self._move_through(self._next_start, self._rest)
        if not self._schedules.fire_due():
            self._dispatcher.start_due(AttemptBatch(), limit=1)
        await self._rest()

    async def _move_through(self, next_instant: Callable[[], int | None], play: Callable[[], Awaitable[None]]) -> None:
        """Play now, and at one instant after another while there is a next one."""
        on_disk = None  # the time on disk may be ahead of the clock, never behind it
        await play()
        while (instant := next_instant()) is not None:
            if instant == on_disk:
                self._move(instant)
            else:
                await self._store.save({"now_ms": str(instant)})
                on_disk = instant  # and look again: a job may have arrived meanwhile
            await play()

    def _is_over(self, until: Until) -> bool:
        return self._next_instant(until) is None

    def _next_start(self) -> int | None:
        """Return when the first attempt can start or schedule fires, or None if that is now or never."""
        due = None if self._dispatcher.is_stopping else self._dispatcher.next_due()
        due = None if due is None else _first(due, self._schedules.next_due())
        return due if due is not None and due > self._clock.now() else None

    def _next_instant(self, until: Until) -> int | None:
        """Return the next instant to play, or None after the last one."""
        if self._dispatcher.is_stopping:
            return None
        due = self._dispatcher.next_due()
        if until is None and due is None:  # a schedule alone never ends, but fires on the way to the last slot's end
            until = self._dispatcher.last_occupied()
        due = _first(due, self._schedules.next_due())
        if due is not None and (until is None or due <= until):
            return due
        return until if until is not None and until > self._clock.now() else None

    async def _play_instant(self) -> None:
        """Fire the schedules and run the jobs that are due now until nothing more is; everything is on disk then.

        A schedule fires first: the jobs that its handler enqueues are due at the same instant.
        No await may come between the last check and the caller's next step, or time moves while a commit is pending.
        """
        while True:
            await self._rest()
            if not self._schedules.fire_due() and not self._dispatcher.start_due(AttemptBatch()):
                return

    async def _rest(self) -> None:
        """Return when no attempt or firing runs, nothing waits to be written, and the next jobs are in memory."""
        while not self._is_at_rest() and not self._dispatcher.is_stopping:
            await self._schedules.wait_idle()
            await self._dispatcher.wait_attempts()
            await self._store.settled()
            await self._dispatcher.wait_loaded()

    def _is_at_rest(self) -> bool:
        return self._dispatcher.is_idle and self._store.is_idle and self._schedules.is_idle


def _first(one: int | None, other: int | None) -> int | None:
    """Return the earlier instant of two that may be missing."""
    return min((ms for ms in (one, other) if ms is not None), default=None)
