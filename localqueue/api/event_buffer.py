"""Keep the latest events in memory for the clients that follow them live.

An event is serialized once, when the first follower needs it. Without followers, nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import localqueue
from localqueue.api import responses, serializers
from localqueue.core import clock, events, lifecycle
from localqueue.core.errors import StorageUnavailable, TooManyStreams
from localqueue.core.models import Attempt, Job, JobState
from localqueue.core.times import iso
from localqueue.engine.engine import Engine

CAPACITY = 10_000
"""How many events are kept for clients that reconnect; a client that is further behind has missed some."""
MAX_FOLLOWERS = 16
RECONNECT_S = 60.0
"""How long events are kept after the last follower has disconnected."""
PAUSE_S = 0.2
"""The pause after a chunk; events that happen meanwhile are sent together."""
SNAPSHOT_PAUSE_S = 0.25
KEEP_ALIVE_S = 15.0
CHUNK = 500
"""How many events are serialized at once before other tasks run."""
SMALL_RESPONSE = 1024
"""Larger responses, in bytes, aren't kept with their attempts: events don't include them."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The jobs whose events a client wants; None means all. `job` is an ID or a short ID."""

    namespace: str | None = None
    queue: str | None = None
    job: str | None = None

    def fits(self, job: Job | None) -> bool:
        """Return whether an event about the job is wanted; events about no job always are."""
        return job is None or (
            self.namespace in (None, job.namespace)
            and self.queue in (None, job.queue)
            and self.job in (None, job.id, job.short_id)
        )


class Entry:
    """An event, and its text once a follower needed it."""

    __slots__ = ("attempt", "content", "job", "kind", "number", "state", "text")

    def __init__(
        self,
        kind: str,
        content: Any = None,
        job: Job | None = None,
        state: JobState | None = None,
        attempt: Attempt | None = None,
        number: int = 0,
    ) -> None:
        self.kind = kind
        self.content = content
        self.job = job
        self.state = state
        self.attempt = attempt
        self.number = number
        self.text: bytes | None = None


class EventBuffer:
    """The latest events of the engine, which followers read at their own pace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._epoch = secrets.token_hex(4)  # distinguishes the ids of earlier processes and from before a gap
        self._is_listening = False
        self._leaving: asyncio.TimerHandle | None = None
        self._ring: list[Entry] = [Entry("gap")] * CAPACITY
        self._count = 0
        self._followers: set[asyncio.Event] = set()
        self._is_stale = asyncio.Event()
        self._snapshots: asyncio.Task[None] | None = None
        self._latest_queues: object = None
        self._over = asyncio.Event()

    # events of the engine

    def _listen(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if not self._is_listening:
            self._is_listening = True
            self._engine.hub.add(self._take)

    def _stop_listening(self) -> None:
        self._is_listening = False
        self._engine.hub.remove(self._take)
        self._epoch = secrets.token_hex(4)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Enqueued(job):
                self._add(Entry("job", None, job, JobState.QUEUED))
            case events.Started(job, started_ms):
                self._add(Entry("job", started_ms, job, JobState.RUNNING))
            case events.AttemptEnded(job, attempt):
                state = self._state(job)
                self._add(Entry("attempt", None, job, state, _without_large_response(attempt)))
                self._add(Entry("job", None, job, state))
            case events.Changed(job):
                self._add(Entry("job", None, job, self._state(job)))
            case events.HoldChanged(job, is_held):
                self._add(Entry("hold", {"jobId": job.id, "held": is_held}))
            case events.Stopped():
                self._end()
            case _:
                self._take_rare(event)
        if self._followers:
            self._is_stale.set()

    def _take_rare(self, event: events.Event) -> None:
        match event:
            case events.TimeMoved(now_ms, offset_ms):
                mode = self._engine.clock.mode
                self._add(Entry("clock", {"mode": mode, "now": iso(now_ms), "offsetMs": offset_ms}))
            case events.CatalogChanged() | events.Configured() | events.ServiceChanged():
                self._add(Entry("catalog", {}))
            case events.JobsDeleted(count):
                self._add(Entry("deleted", {"count": count}))
            case events.WasReset():
                self._add(Entry("reset", {}))
            case events.ScheduleFired(firing):
                self._add(Entry("schedule", serializers.firing(firing)))
            case events.Warned(message):
                self._add(Entry("warning", {"message": message}))
            case events.Rejected(rejection, is_news):
                if is_news:
                    self._add(Entry("rejected", serializers.rejection(rejection)))
            case events.CatalogRefused(findings):
                lines = [*map(str, findings), "catalog error: the last valid version is still in use"]
                self._add(Entry("warning", {"message": "\n".join(lines)}))
            case events.Stopping():
                self._add(Entry("stopping", {}))

    def _state(self, job: Job) -> JobState:
        return lifecycle.state_of(job, is_running=False, now_ms=self._engine.now())

    def _add(self, entry: Entry) -> None:
        self._ring[self._count % CAPACITY] = entry
        self._count += 1
        entry.number = self._count
        for wake in self._followers:
            wake.set()

    def _end(self) -> None:
        self._over.set()
        if self._snapshots is not None:
            self._snapshots.cancel()
        for wake in self._followers:
            wake.set()

    async def _take_snapshots(self) -> None:
        """Add an event when the queues or the number of refused requests change, while there are followers."""
        while True:
            self._is_stale.clear()
            with contextlib.suppress(StorageUnavailable):
                queues = serializers.queues(await self._engine.queues(), self._engine.catalog.targets)
                snapshot = {**queues, "rejected": self._engine.rejections.total}
                if snapshot != self._latest_queues:
                    self._latest_queues = snapshot
                    self._add(Entry("queues", snapshot))
                await _is_set(self._over, SNAPSHOT_PAUSE_S)
            await self._is_stale.wait()

    # followers

    @contextlib.contextmanager
    def following(self) -> Iterator[asyncio.Event]:
        """Add a follower for a block; its event is set whenever something happens. Raises TooManyStreams."""
        if len(self._followers) >= MAX_FOLLOWERS:
            raise TooManyStreams(
                f"{MAX_FOLLOWERS} clients already follow the events",
                "Close a dashboard or a `localqueue tail`.",
            )
        wake = asyncio.Event()
        self._listen()
        self._followers.add(wake)
        self._is_stale.set()
        if self._snapshots is None and not self._over.is_set():
            self._snapshots = asyncio.create_task(self._take_snapshots(), name="snapshots")
        try:
            yield wake
        finally:
            self._followers.discard(wake)
            if not self._followers:
                self._leave()

    def _leave(self) -> None:
        self._leaving = asyncio.get_running_loop().call_later(RECONNECT_S, self._stop_listening)
        if self._snapshots is not None:
            self._snapshots.cancel()
            self._snapshots = None

    async def chunks(self, wake: asyncio.Event, last_id: str | None, wanted: EventFilter) -> AsyncIterator[bytes]:
        """Yield new events, or first those since `last_id`, until the server stops."""
        position = self._count if last_id is None else self._position(last_id)
        yield b"retry: 1000\n" + self._text(self._hello(self._count if position is None else position))
        while True:
            wake.clear()
            if position is None or self._count - position > CAPACITY:
                position = self._count
                yield self._text(Entry("gap", {}, number=position))
            text = b"".join(self._texts(position, wanted))
            position = min(position + CHUNK, self._count)
            if text:
                yield text
            if position < self._count:
                await clock.yield_to_others()
            elif self._over.is_set():
                return
            elif text:
                await _is_set(self._over, PAUSE_S)
            elif not await _is_set(wake, KEEP_ALIVE_S):
                yield b": still here\n\n"

    def _position(self, last_id: str) -> int | None:
        """Return the position after which a client reconnects, or None if events were lost."""
        epoch, _, number = last_id.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        return int(number) if self._count - CAPACITY <= int(number) <= self._count else None

    def _hello(self, position: int) -> Entry:
        now, mode = iso(self._engine.now()), self._engine.clock.mode
        return Entry("hello", {"version": localqueue.__version__, "now": now, "mode": mode}, number=position)

    def _texts(self, position: int, wanted: EventFilter) -> Iterator[bytes]:
        for number in range(position, min(position + CHUNK, self._count)):
            entry = self._ring[number % CAPACITY]
            if wanted.fits(entry.job):
                if entry.text is None:
                    entry.text = self._text(entry)
                yield entry.text

    def _text(self, entry: Entry) -> bytes:
        head = f"id: {self._epoch}-{entry.number}\nevent: {entry.kind}\ndata: "
        return head.encode() + responses.encode(self._content(entry)) + b"\n\n"

    def _content(self, entry: Entry) -> Any:
        if entry.job is None or entry.state is None:
            return entry.content
        content = {"job": serializers.job(self._engine.jobs.snapshot_in_state(entry.job, entry.state, entry.content))}
        if entry.attempt is not None:
            content["attempt"] = serializers.bare_attempt(entry.attempt)
        return content


def _without_large_response(attempt: Attempt) -> Attempt:
    response = attempt.outcome.response
    if response is None or len(response.body) + sum(len(value) for _, value in response.headers) <= SMALL_RESPONSE:
        return attempt
    return attempt.without_response()


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not longer than this; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()
