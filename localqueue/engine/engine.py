"""Be the queue: the one façade that the doors call; builds and closes everything below it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events, ids
from localqueue.core.clock import Clock
from localqueue.core.errors import DatabaseUnusable, ShuttingDown, StorageUnavailable
from localqueue.core.models import Catalog, Job, LedgerEntry, Queue, QueueKey
from localqueue.engine import prefetch, snapshots
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.executor import Deliverer
from localqueue.engine.job_actions import JobActions
from localqueue.engine.running_attempts import RunningAttempt
from localqueue.engine.snapshots import QueueSnapshot
from localqueue.engine.timeline import DrainResult, EndedAttempts, Timeline, VirtualTimeline, WallTimeline
from localqueue.store.store import Store


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """Say which clock it is, what time it shows, and by how much that was moved, in ms."""

    mode: str
    now_ms: int
    offset_ms: int


class Engine:
    """Accept jobs, deliver them, and tell how they are."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        store: Store,
        deliverer: Deliverer,
        report: events.Report,
        seed: int | None,
    ) -> None:
        self._configuration = ActiveCatalog(catalog)
        self._clock = clock
        self._store = store
        self._seed = seed
        self.hub = events.Hub(report)
        self._dispatcher = Dispatcher(clock, store, deliverer, self.hub)
        make = VirtualTimeline if clock.mode == "virtual" else WallTimeline
        self._timeline: Timeline = make(clock, self._dispatcher, store, self.hub, lambda: self._next_seq)
        self.jobs = JobActions(clock, store, self._dispatcher, self.hub, lambda: self._numbers)
        self._next_seq = 1
        self._numbers: dict[QueueKey, int] = {}
        self._epoch = 0
        self._start_ms = clock.now()
        self._loop: asyncio.Task[None] | None = None
        self._is_stopping = False

    @classmethod
    async def open(
        cls,
        path: Path,
        catalog: Catalog,
        clock: Clock,
        deliverer: Deliverer,
        report: events.Report,
        *,
        durable: bool = True,
        keep: int = 10_000,
        seed: int | None = None,
    ) -> Engine:
        """Open the database and recover what an earlier run left. Raises DatabaseUnusable."""
        store = await Store.open(path, durable=durable, keep=keep)
        try:
            engine = cls(catalog, clock, store, deliverer, report, seed)
            await engine._recover(path)
        except BaseException as error:
            await store.close()
            if isinstance(error, StorageUnavailable):
                raise DatabaseUnusable(error.message, "Make room or release the file, then start again.") from error
            raise
        return engine

    async def _recover(self, path: Path) -> None:
        facts, last_time = await self._store.facts(), await self._store.last_time()
        made_on = facts.get("clock", "wall" if last_time else self._clock.mode)
        if made_on != self._clock.mode:
            raise DatabaseUnusable(
                f"{path} was made on the {made_on} clock, not on the {self._clock.mode} one",
                f"Start with --clock {made_on}, or choose another file with --db PATH.",
            )
        self._next_seq = await self._store.last_seq() + 1
        self._numbers = await self._store.numbers()
        self._configuration.paused = await self._store.pauses()
        if self._clock.mode == "virtual":
            self._start_ms = int(facts.get("start_ms", self._start_ms))
            self._clock.advance(max(int(facts.get("now_ms", 0)), last_time))
            for key, until in await self._store.timeouts(self._clock.now()):
                self._dispatcher.owe(key, until)
        else:
            await self._clamp_due_times()
        await self._store.save(self._facts())
        self._configure()

    def _facts(self) -> dict[str, str]:
        return {"clock": self._clock.mode, "start_ms": str(self._start_ms), "now_ms": str(self._clock.now())}

    def _configure(self) -> None:
        found = self._configuration
        self._dispatcher.configure(found.queues, found.targets, found.paused)

    def start(self) -> None:
        """Begin to deliver: on the wall clock what is due, on the virtual one what `advance` and `drain` ask for."""
        self._loop = asyncio.create_task(self._timeline.run(), name="timeline")

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new jobs, give attempts under way `grace` seconds, record the rest, close the file."""
        self.refuse_jobs()
        await self._dispatcher.stop(grace)
        if self._loop is not None:
            await asyncio.wait([self._loop])
        self.hub(events.Stopped())
        await self._store.close()

    def hurry(self) -> None:
        """End the grace of a close under way: cut the rest off now."""
        self._dispatcher.hurry()

    @property
    def is_stopping(self) -> bool:
        """Return whether new jobs are refused."""
        return self._is_stopping

    def refuse_jobs(self) -> None:
        """Answer new jobs with ShuttingDown from now on."""
        self._is_stopping = True

    async def wait_broken(self) -> None:
        """Return never, or raise what broke the dispatcher: a silent dead one would be the worst case."""
        assert self._loop is not None
        await asyncio.wait([self._loop, self._dispatcher.broken], return_when=asyncio.FIRST_COMPLETED)
        for ended in (self._loop, self._dispatcher.broken):
            if ended.done() and (error := ended.exception()):
                raise error

    @property
    def running(self) -> int:
        """Return how many attempts are under way."""
        return len(self._dispatcher.flights)

    # catalog and clock

    @property
    def catalog(self) -> Catalog:
        """Return the catalog in force."""
        return self._configuration.catalog

    def use(self, catalog: Catalog) -> None:
        """Follow an edited catalog; attempts under way finish under the old settings."""
        self._configuration.declare(catalog)
        self._configure()

    def change_queue(self, namespace: str, name: str, settings: Mapping[str, Any]) -> Queue:
        """Change settings of a queue, under the catalog's names, until the next reset.

        Raises NotFound (unknown_namespace, unknown_queue), InvalidRequest.
        """
        changed = self._configuration.change_queue(namespace, name, settings)
        self._configure()
        self.hub(events.Configured())
        return changed

    def change_target(self, namespace: str, url: str) -> None:
        """Change where a service listens, until the next reset. Raises NotFound (unknown_namespace)."""
        self._configuration.change_target(namespace, url)
        self._configure()
        self.hub(events.Configured())

    async def pause(self, namespace: str, name: str, is_paused: bool = True) -> None:
        """Start nothing more of a queue, or go on with it; attempts under way go on anyway.

        Raises NotFound (unknown_namespace, unknown_queue), StorageUnavailable.
        """
        key = self._configuration.find(namespace, name).key
        await self._store.pause(key, is_paused)
        (self._configuration.paused.add if is_paused else self._configuration.paused.discard)(key)
        self._configure()
        self.hub(events.Configured())

    # time

    def look_at_clock(self) -> None:
        """Notice that the system's clock has jumped."""
        self._dispatcher.wake()

    @property
    def clock(self) -> ClockStatus:
        """Return the clock's state."""
        return ClockStatus(self._clock.mode, self._clock.now(), self._clock.offset_ms)

    def now(self) -> int:
        """Return the time in ms."""
        return self._clock.now()

    @property
    def start_ms(self) -> int:
        """Return the time from which the ledger counts, in ms."""
        return self._start_ms

    async def advance(self, ms: int, settle_ms: int = 0) -> EndedAttempts:
        """Move the time by `ms` and make what is due by then; return those attempts."""

        async def end() -> int:
            return self._clock.now() + ms

        return await self._timeline.advance(end, settle_ms)

    async def advance_to(self, to_ms: int, settle_ms: int = 0) -> EndedAttempts:
        """Move the time to an instant that is not past; else only what is due now is made."""

        async def end() -> int:
            return max(to_ms, self._clock.now())

        return await self._timeline.advance(end, settle_ms)

    async def advance_to_next(self, settle_ms: int = 0) -> EndedAttempts:
        """Move the time to the next instant at which something is due; where nothing is, move nothing."""
        return await self._timeline.advance(self._timeline.next_due, settle_ms)

    async def drain(self, timeout_ms: int = 30_000, settle_ms: int = 0) -> DrainResult:
        """Go on until nothing is queued, running or retrying; held jobs do not count.

        Source: our decision. `timeout_ms` and `settle_ms` are real time.
        """
        return await self._timeline.drain(timeout_ms, settle_ms)

    async def reset(self) -> None:
        """Restore the state after the first start: no job, no pause, nothing changed, time at its beginning.

        What is under way is cut off. Raises StorageUnavailable, the jobs then being there still.
        """
        await self._timeline.interrupt(lambda: self._dispatcher.clear(self._wipe))
        self.hub(events.WasReset())

    async def _wipe(self) -> None:
        """Empty memory and disk; memory at once, for jobs may arrive while the disk is being emptied."""
        before = self._next_seq, self._numbers, self._start_ms, self._clock.now()
        self._next_seq, self._numbers = 1, {}
        self._epoch += 1  # jobs that are committed before the wipe must not be offered after it
        self._clock.reset()
        self._start_ms = self._clock.now()
        try:
            await self._store.reset(self._facts())
        except StorageUnavailable:
            self._next_seq, self._numbers, self._start_ms, now = before
            self._clock.advance(now)
            raise
        self._configuration.reset()
        self._configure()

    async def ledger(self) -> list[LedgerEntry]:
        """Return every attempt since the last reset, in starting order."""
        return await self._store.ledger()

    # jobs

    async def enqueue(self, namespace: str, queue: str, data: bytes, replay_of: str | None = None) -> Job:
        """Accept a job; it is on disk when this returns.

        Raises NotFound (unknown_namespace, unknown_queue), ShuttingDown, StorageUnavailable.
        """
        if self._is_stopping:
            raise ShuttingDown("localqueue is stopping", "Nothing was stored; send it again after the restart.")
        found = self._configuration.find(namespace, queue)
        now, epoch = self._clock.now(), self._epoch
        number = self._numbers[found.key] = self._numbers.get(found.key, 0) + 1
        job = Job(
            seq=self._next_seq,
            id=ids.uuid7(now, ids.random_bytes(self._seed, self._next_seq)),
            namespace=namespace,
            queue=queue,
            created_ms=now,
            due_ms=now,
            max_attempts=found.max_attempts,
            replay_of=replay_of,
            data_size=len(data),
            number=number,
        )
        self._next_seq += 1
        small = data if len(data) <= prefetch.SMALL_PAYLOAD else None

        def offer() -> None:
            if epoch == self._epoch:
                self.hub(events.Enqueued(job))
                self._dispatcher.offer(job, small)

        await self._store.insert(job, data, then=offer)
        return job

    async def replay(self, id_: str, data: bytes | None = None) -> Job:
        """Enqueue a new job like another one, with the same data or with this; it names its original.

        Raises NotFound (unknown_job, unknown_namespace, unknown_queue), AmbiguousId, ShuttingDown,
        StorageUnavailable.
        """
        original = await self.jobs.find(id_)
        if data is None:
            data = await self.jobs.data(original)
        return await self.enqueue(original.namespace, original.queue, data, replay_of=original.id)

    async def retry_failed(self, namespace: str | None = None, queue: str | None = None) -> int:
        """Retry every failed job, of all queues or of those named; return how many.

        Raises NotFound (unknown_namespace, unknown_queue), StorageUnavailable.
        """
        self._configuration.check_known(namespace, queue, self._numbers)
        return await self.jobs.retry_failed(namespace, queue)

    async def queues(self) -> list[QueueSnapshot]:
        """Return every queue that is declared or has jobs."""
        now = self._clock.now()
        counts = await self._store.counts(now)
        flights: dict[QueueKey, list[RunningAttempt]] = {}
        for flight in self._dispatcher.flights.values():
            flights.setdefault(flight.job.key, []).append(flight)
        return [
            QueueSnapshot(
                key,
                self._configuration.queues.get(key),
                snapshots.count_by_state(counts.get(key, {}), flights.get(key, ()), now),
                snapshots.held(self._dispatcher.lanes.get(key)),
                self._numbers.get(key, 0),
            )
            for key in sorted({*self._configuration.queues, *counts})
        ]

    @property
    def storage_error(self) -> str | None:
        """Return why the database could not be written the last time, or None."""
        return self._store.error

    async def check_storage(self) -> str:
        """Return `ok`, or what SQLite finds wrong in the file."""
        return await self._store.check()

    # parts

    async def _clamp_due_times(self) -> None:
        now = self._clock.now()
        for key, queue in self._configuration.queues.items():
            await self._store.clamp_due(key, now + queue.retry_delay_ms)
