"""Move time: `advance` and `drain`, on either clock, over the one dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from localqueue import events
from localqueue.clock import Clock
from localqueue.dispatcher import Dispatcher
from localqueue.flight import Batch
from localqueue.store import Store

Made = list[events.AttemptEnded]
Until = int | None
"""An instant in ms, or None: until nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Say whether nothing is left to do, and which attempts were made."""

    is_idle: bool
    attempts: Made


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

    @abstractmethod
    async def run(self) -> None:
        """Start what is due by itself, where the clock has it so; return when the dispatcher stops."""

    @abstractmethod
    async def _play(self, until: Until) -> None:
        """Make every attempt that is due by then, and wait for them."""

    async def advance(self, end: Callable[[], Awaitable[Until]], settle_ms: int) -> Made:
        """Move the time to `end()`, which is asked once, and make what is due by then; return those attempts.

        With `settle_ms`, return only after that much real time without a new job. An end of None moves nothing.
        """
        with self._collecting() as made:
            async with self._lock:
                until = await end()
                if until is not None:
                    await self._guarded(self._play_and_settle(until, settle_ms))
        return made

    async def drain(self, timeout_ms: int, settle_ms: int) -> Drained:
        """Go on until no job waits, is under way or waits for a retry; held ones do not count.

        Gives up after `timeout_ms` of real time.
        """
        with self._collecting() as made:
            try:
                async with asyncio.timeout(timeout_ms / 1000), self._lock:
                    await self._guarded(self._play_and_settle(None, settle_ms))
            except TimeoutError:
                return Drained(False, made)
            return Drained(self._dispatcher.is_quiet(None), made)

    async def interrupt(self, work: Callable[[], Awaitable[None]]) -> None:
        """End an advance or a drain under way, then do something while no other can begin."""
        if self._playing is not None:
            self._playing.cancel()
        async with self._lock:
            await work()

    def _move(self, to_ms: int) -> None:
        before = self._clock.now()
        self._clock.advance(to_ms)
        if to_ms > before:
            self._hub(events.TimeMoved(self._clock.now(), self._clock.offset_ms))

    async def _guarded(self, playing: Coroutine[Any, Any, None]) -> None:
        """Play in a task of its own, so that a reset can end it without ending the caller."""
        self._playing = asyncio.create_task(playing)
        try:
            await asyncio.wait([self._playing])
            if not self._playing.cancelled():
                self._playing.result()
        finally:
            self._playing.cancel()
            self._playing = None

    async def _play_and_settle(self, until: Until, settle_ms: int) -> None:
        while True:
            await self._play(until)
            seen = self._arrivals()
            if not settle_ms or self._dispatcher.is_stopping:
                return
            await self._clock.sleep(settle_ms / 1000)
            if self._arrivals() == seen:
                return

    @contextlib.contextmanager
    def _collecting(self) -> Iterator[Made]:
        made: Made = []

        def collect(event: events.Event) -> None:
            if isinstance(event, events.AttemptEnded):
                made.append(event)

        with self._hub.listening(collect):
            yield made


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
        await self._play_instant()
        while not self._dispatcher.is_stopping:
            due = self._dispatcher.next_due()
            if due is None or (until is not None and due > until):
                break
            self._move(due)
            await self._play_instant()
        if not self._dispatcher.is_stopping:
            self._move(self._dispatcher.last_owed() if until is None else until)
            await self._store.save({"now_ms": str(self._clock.now())})

    async def _play_instant(self) -> None:
        """Start what is due now until nothing more is; all of it is on disk then."""
        while True:
            await self._dispatcher.landed()
            await self._store.settled()
            await self._dispatcher.loaded()
            if not self._dispatcher.start_due(Batch()):
                return
