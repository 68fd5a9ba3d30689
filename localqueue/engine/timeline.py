"""Move time: `advance` and `drain`, on either clock, over the one dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.running_attempts import AttemptBatch
from localqueue.store.store import Store

EndedAttempts = list[events.AttemptEnded]
Until = int | None
"""An instant in ms, or None: until nothing is left to do."""


@dataclass(frozen=True, slots=True)
class DrainResult:
    """Say whether nothing is left to do, and which attempts were made."""

    is_idle: bool
    attempts: EndedAttempts


class Timeline(ABC):
    """Play what is due, one caller at a time. `arrivals` counts the jobs that were enqueued."""

    def __init__(
        self, clock: Clock, dispatcher: Dispatcher, store: Store, hub: events.Hub, arrivals: Callable[[], int]
    ) -> None:
        self._clock = clock
        self._dispatcher = dispatcher
        self._store = store
        self._hub = hub
        self._arrivals = arrivals
        self._lock = asyncio.Lock()
        self._playing: asyncio.Task[None] | None = None
        self._interruptions = 0

    @abstractmethod
    async def run(self) -> None:
        """Start what is due by itself, where the clock has it so; return when the dispatcher stops."""

    @abstractmethod
    async def _play(self, until: Until) -> None:
        """Make every attempt that is due by then, and wait for them."""

    @abstractmethod
    async def _rest(self) -> None:
        """Return when it is known what comes next."""

    @abstractmethod
    def _is_over(self, until: Until) -> bool:
        """Return whether there is nothing to make up to then."""

    async def advance(self, end: Callable[[], Awaitable[Until]], settle_ms: int) -> EndedAttempts:
        """Move the time to `end()`, which is asked once, and make what is due by then; return those attempts.

        With `settle_ms`, return only after that much real time without a new job. An end of None moves nothing.
        """
        made: EndedAttempts = []
        asked_at = self._interruptions
        async with self._lock:
            if self._interruptions == asked_at:
                await self._guarded(self._advance(end, settle_ms), made)
        return made

    async def next_due(self) -> Until:
        """Return the next instant at which something is due, now at the earliest; None where nothing is."""
        await self._rest()
        due = self._dispatcher.next_due()
        return None if due is None else max(due, self._clock.now())

    async def drain(self, timeout_ms: int, settle_ms: int) -> DrainResult:
        """Go on until no job waits, is under way or waits for a retry; held ones do not count.

        Gives up after `timeout_ms` of real time.
        """
        made: EndedAttempts = []
        asked_at = self._interruptions
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._lock:
                if self._interruptions == asked_at:
                    is_idle = await self._guarded(self._play_and_settle(None, settle_ms), made)
                    return DrainResult(is_idle, made)
        except TimeoutError:
            return DrainResult(False, made)
        return DrainResult(self._dispatcher.is_quiet(None), made)

    async def interrupt(self, work: Callable[[], Awaitable[None]]) -> None:
        """End every advance and drain, then do something while no other can begin."""
        self._interruptions += 1
        if self._playing is not None:
            self._playing.cancel()
        async with self._lock:
            await work()

    def _move(self, to_ms: int) -> None:
        before = self._clock.now()
        self._clock.advance(to_ms)
        if to_ms > before:
            self._hub(events.TimeMoved(self._clock.now(), self._clock.offset_ms))

    async def _guarded(self, playing: Coroutine[Any, Any, None], made: EndedAttempts) -> bool:
        """Play in a task of its own, so that a reset can end it without ending the caller.

        Collect what is made meanwhile, and return whether it came to its end.
        """
        self._playing = asyncio.create_task(playing)
        try:
            with self._collecting(made):
                await asyncio.wait([self._playing])
            if self._playing.cancelled():
                return False
            self._playing.result()
            return not self._dispatcher.is_stopping
        finally:
            self._playing.cancel()
            self._playing = None

    async def _advance(self, end: Callable[[], Awaitable[Until]], settle_ms: int) -> None:
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
            if self._arrivals() == seen and self._is_over(until):
                return

    @contextlib.contextmanager
    def _collecting(self, made: EndedAttempts) -> Iterator[None]:
        def collect(event: events.Event) -> None:
            if isinstance(event, events.AttemptEnded):
                made.append(event)

        with self._hub.listening(collect):
            yield


class WallTimeline(Timeline):
    """Time runs: what is due starts by itself, so all there is to do is to move the offset and to wait."""

    async def run(self) -> None:
        """Start what is due, whenever it is."""
        await self._dispatcher.run()

    async def _play(self, until: Until) -> None:
        if until is not None:
            self._move(until)
            self._dispatcher.wake()
        while not self._dispatcher.is_quiet(until) and not self._dispatcher.is_stopping:
            await self._dispatcher.changed()

    async def _rest(self) -> None:
        await self._dispatcher.loaded()

    def _is_over(self, until: Until) -> bool:
        return self._dispatcher.is_quiet(until)


class VirtualTimeline(Timeline):
    """Time stands still: play it instant by instant.

    At each instant start what is due and has a slot, wait until all of that was answered and is on disk,
    start what has become possible at the same instant, then jump to the next one at which something is due.
    Time never moves while a request is on the wire or a commit is pending. It could lie only about a
    handler that goes on after its answer; that is what `settle_ms` is for.
    """

    async def run(self) -> None:
        """Start nothing: that is up to `advance` and `drain`."""
        while not self._dispatcher.is_stopping:
            await self._dispatcher.changed()

    async def _play(self, until: Until) -> None:
        on_disk = None  # the time there may be ahead of ours, never behind
        await self._play_instant()
        while (instant := self._next_instant(until)) is not None:
            if instant == on_disk:
                self._move(instant)
            else:
                await self._store.save({"now_ms": str(instant)})
                on_disk = instant  # and look again: something may have come meanwhile
            await self._play_instant()

    def _is_over(self, until: Until) -> bool:
        return self._next_instant(until) is None

    def _next_instant(self, until: Until) -> int | None:
        """Return the next instant to play, or None after the last one."""
        if self._dispatcher.is_stopping:
            return None
        due = self._dispatcher.next_due()
        if due is not None and (until is None or due <= until):
            return due
        end = self._dispatcher.last_owed() if until is None else until
        return end if end > self._clock.now() else None

    async def _play_instant(self) -> None:
        """Start what is due now until nothing more is; all of it is on disk then.

        No await may come between the last look and what follows it, or time moves while a commit is pending.
        """
        while True:
            await self._rest()
            if not self._dispatcher.start_due(AttemptBatch()):
                return

    async def _rest(self) -> None:
        """Return when nothing is under way, nothing waits to be written, and the next jobs are known."""
        while not (self._dispatcher.is_at_rest and self._store.is_idle) and not self._dispatcher.is_stopping:
            await self._dispatcher.landed()
            await self._store.settled()
            await self._dispatcher.loaded()
