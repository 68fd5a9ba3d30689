"""The facade that the API and the command line call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import DatabaseUnusable, InvalidRequest, StorageUnavailable
from localqueue.core.faults import Fault
from localqueue.core.models import Catalog, Job, JobFilter, LedgerEntry, Queue
from localqueue.core.settings import Settings
from localqueue.core.text import safe
from localqueue.engine import crash_rehearsal, snapshots
from localqueue.engine.bulk_actions import BulkActions
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.enqueuer import Enqueuer
from localqueue.engine.executor import Deliverer
from localqueue.engine.fault_injector import FaultInjector
from localqueue.engine.ignored_keys import IgnoredKeys
from localqueue.engine.job_actions import JobActions
from localqueue.engine.recovery import recover
from localqueue.engine.rejections import Rejections
from localqueue.engine.schedules import Schedules
from localqueue.engine.second_delivery import SecondDeliveries
from localqueue.engine.service_watch import ServiceWatch
from localqueue.engine.snapshots import QueueSnapshot
from localqueue.engine.timeline import PlayResult, Timeline, VirtualTimeline, WallTimeline
from localqueue.store.store import Store


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """The clock's mode, the time that it shows, and by how much `advance` has moved it, in ms."""

    mode: str
    now_ms: int
    offset_ms: int


class Engine:
    """The queue: it builds, starts and closes everything below it."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        store: Store,
        deliverer: Deliverer,
        report: events.Report,
        settings: Settings,
    ) -> None:
        self._active = ActiveCatalog(catalog)
        self._clock = clock
        self._store = store
        self.hub = events.Hub(report)
        self.schedules = Schedules(self._active, clock, deliverer, self.hub, settings.schedules)
        self.faults = FaultInjector(deliverer, clock, settings.chaos, settings.seed or 0)
        self._dispatcher = Dispatcher(clock, store, self.faults, self.hub, has_timeouts=not settings.no_timeouts)
        self._enqueuer = Enqueuer(self._active, clock, store, self._dispatcher, self.hub, settings.id_seed)
        make_timeline = VirtualTimeline if clock.mode == "virtual" else WallTimeline
        self._timeline: Timeline = make_timeline(
            clock, self._dispatcher, store, self.hub, self.schedules, lambda: self._enqueuer.next_seq
        )
        self.rejections = Rejections(clock, self.hub)
        self.ignored_keys = IgnoredKeys(self.hub)
        self.jobs = JobActions(self._active, clock, store, self._dispatcher, self.hub, self._enqueuer)
        self.bulk = BulkActions(self._active, clock, store, self._dispatcher, self.hub, self._enqueuer, self.jobs)
        self.second_deliveries = SecondDeliveries(self._active, store, self.faults, self.jobs, self._enqueuer)
        self.services = ServiceWatch(self._active, self._dispatcher, self.hub, settings)
        self._watching: asyncio.Task[None] | None = None
        self._start_ms = clock.now()
        self.crash_report = ""
        """What is delivered again after a rehearsed crash of the previous run; empty if there was none."""
        self._loop: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        catalog: Catalog,
        clock: Clock,
        deliverer: Deliverer,
        report: events.Report,
        settings: Settings | None = None,
    ) -> Engine:
        """Open the database and recover what an earlier run left. Raises DatabaseUnusable."""
        settings = settings or Settings()
        store = await Store.open(path, durable=not settings.ephemeral, keep=settings.keep)
        try:
            engine = cls(catalog, clock, store, deliverer, report, settings)
            await engine._recover(path)
            if settings.crash_at is not None:
                crash_rehearsal.arm(settings.crash_at, path, engine._dispatcher.running)
        except BaseException as error:
            await store.close()
            if isinstance(error, StorageUnavailable):
                raise DatabaseUnusable(error.message, _unusable_hint(path)) from error
            raise
        return engine

    async def _recover(self, path: Path) -> None:
        self._start_ms = await recover(path, self._active, self._clock, self._store, self._dispatcher, self._enqueuer)
        self.crash_report = await crash_rehearsal.take_report(path, self._store)
        await self._store.save(self._facts())
        self._configure()

    def _facts(self) -> dict[str, str]:
        return {"clock": self._clock.mode, "start_ms": str(self._start_ms), "now_ms": str(self._clock.now())}

    def _configure(self) -> None:
        active = self._active
        self._dispatcher.configure(active.queues, active.targets, active.paused)
        self.schedules.configure()

    # start and stop

    def start(self) -> None:
        """Start to deliver: what is due on the wall clock, what `advance` and `drain` ask for on the virtual clock."""
        self._loop = asyncio.create_task(self._timeline.run(), name="timeline")

    def watch_services(self) -> None:
        """Probe the targets of the services from now on."""
        if self._watching is None:
            self.services.start()
            self._watching = asyncio.create_task(self.services.run(), name="services")

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new jobs, give running attempts `grace` seconds, record the rest, and close the file."""
        self.refuse_jobs()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._dispatcher.stop(grace)
        await self.schedules.close()
        if self._loop is not None:
            await asyncio.wait([self._loop])
        self.hub(events.Stopped())
        await self._store.close()

    def skip_grace(self) -> None:
        """End the grace period of a running close: cut off the remaining attempts now."""
        self._dispatcher.skip_grace()

    @property
    def is_stopping(self) -> bool:
        """Return whether new jobs are refused."""
        return self._enqueuer.is_closed

    def refuse_jobs(self) -> None:
        """Refuse new jobs with ShuttingDown from now on."""
        self._enqueuer.is_closed = True

    async def wait_failed(self) -> None:
        """Never return, but raise what ended the dispatcher: a dead one that stays silent would be the worst case."""
        assert self._loop is not None
        await asyncio.wait([self._loop, self._dispatcher.failure], return_when=asyncio.FIRST_COMPLETED)
        for ended in (self._loop, self._dispatcher.failure):
            if ended.done() and (error := ended.exception()):
                raise error

    @property
    def running(self) -> int:
        """Return the number of running attempts."""
        return len(self._dispatcher.running)

    # catalog

    @property
    def catalog(self) -> Catalog:
        """Return the catalog in force."""
        return self._active.catalog

    def use(self, catalog: Catalog) -> None:
        """Apply an edited catalog; running attempts finish under the old settings."""
        self._active.declare(catalog)
        self._configure()

    def change_queue(self, namespace: str, name: str, settings: Mapping[str, Any]) -> Queue:
        """Change settings of a queue, under the catalog's names, until the next reset; None restores one.

        Raises NotFound (unknown_namespace, unknown_queue), InvalidRequest.
        """
        queue = self._active.change_queue(namespace, name, settings)
        self._configure()
        self.hub(events.Configured())
        return queue

    def change_target(self, namespace: str, url: str | None) -> str:
        """Change the base URL of a service until the next reset, and return it; None restores the first one.

        Raises NotFound (unknown_namespace).
        """
        target = self._active.change_target(namespace, url)
        self._configure()
        self.hub(events.Configured())
        return target

    async def pause(self, namespace: str, name: str, is_paused: bool = True) -> None:
        """Pause a queue, or resume it; running attempts finish.

        Raises NotFound (unknown_namespace, unknown_queue), StorageUnavailable.
        """
        key = self._active.find(namespace, name).key
        await self._store.pause(key, is_paused)
        self._active.pause(key, is_paused)
        self._configure()
        self.hub(events.Configured())

    def add_faults(self, namespace: str | None, name: str, faults: Sequence[Fault]) -> None:
        """Script the outcomes of the next attempts of a queue.

        Source: our decision. Raises NotFound (unknown_namespace, unknown_queue), InvalidRequest.
        """
        self._active.check_known(namespace, name, ())
        keys = [key for key in self._active.queues if JobFilter(namespace, name).fits(key)]
        if len(keys) > 1:
            owners = ", ".join(key[0] for key in keys)
            raise InvalidRequest(f"several services have a queue {safe(name)!r}: {owners}", "Give the namespace too.")
        self.faults.add(keys[0], faults)

    def clear_faults(self, namespace: str | None = None, name: str | None = None) -> None:
        """Forget the scripted outcomes of the queues that fit. Raises NotFound (unknown_namespace, unknown_queue)."""
        self._active.check_known(namespace, name, ())
        self.faults.clear(JobFilter(namespace, name).fits)

    def check_known(self, namespace: str, name: str) -> None:
        """Check that a queue is declared or has jobs. Raises NotFound (unknown_namespace, unknown_queue)."""
        self._active.check_known(namespace, name, self._enqueuer.numbers)

    async def queues(self) -> list[QueueSnapshot]:
        """Return every queue that is declared or has jobs."""
        counts = await self._store.queries.counts(self._clock.now())
        return snapshots.snapshot_queues(
            self._active.queues,
            counts,
            self._dispatcher,
            self._enqueuer.numbers,
            self._clock.now(),
            self._active.changes,
        )

    # time

    def check_clock(self) -> None:
        """Notice that the system clock has jumped."""
        self._dispatcher.wake()
        self.schedules.wake()

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

    async def advance(self, ms: int, settle_ms: int = 0, timeout_ms: int | None = None) -> PlayResult:
        """Advance the clock by `ms` and run everything due by then; return the attempts.

        Source: our decision. `settle_ms` and `timeout_ms` are real time.
        """
        await self.services.refresh()
        return await self._timeline.advance_by(ms, settle_ms, timeout_ms)

    async def advance_to(self, to_ms: int, settle_ms: int = 0, timeout_ms: int | None = None) -> PlayResult:
        """Advance the clock to an instant and run everything due by then; a past instant only runs what is due now."""
        await self.services.refresh()
        return await self._timeline.advance_to(to_ms, settle_ms, timeout_ms)

    async def advance_to_next(self, settle_ms: int = 0, timeout_ms: int | None = None) -> PlayResult:
        """Advance the clock to the next due time; if nothing is due, leave it."""
        await self.services.refresh()
        return await self._timeline.advance_to_next(settle_ms, timeout_ms)

    async def step(self, timeout_ms: int | None = None) -> PlayResult:
        """Run the first attempt that can start, at its due time. Raises InvalidRequest on the wall clock."""
        return await self._timeline.step(timeout_ms)

    async def drain(
        self,
        timeout_ms: int = 30_000,
        settle_ms: int = 0,
        namespace: str | None = None,
        queue: str | None = None,
    ) -> PlayResult:
        """Run until nothing is queued, running or retrying; held jobs don't count.

        With a namespace or a queue, only their jobs run and count; the others wait. Source: our decision.
        `timeout_ms` and `settle_ms` are real time. Raises NotFound (unknown_namespace, unknown_queue).
        """
        self._active.check_known(namespace, queue, self._enqueuer.numbers)
        await self.services.refresh()
        return await self._timeline.drain(timeout_ms, settle_ms, JobFilter(namespace, queue).fits)

    async def reset(self) -> None:
        """Restore the state after the first start: no jobs, no pauses, no changed settings, time at its start.

        Running attempts are cut off. Raises StorageUnavailable; the jobs are then still there.
        """
        await self._timeline.interrupt(lambda: self._dispatcher.clear(self._wipe))
        self.hub(events.WasReset())

    async def _wipe(self) -> None:
        """Empty memory and disk; memory at once, because jobs may arrive while the disk is being emptied."""
        sequence, start_ms, now = self._enqueuer.restart(), self._start_ms, self._clock.now()
        self._clock.reset()
        self._start_ms = self._clock.now()
        try:
            await self._store.reset(self._facts())
        except StorageUnavailable:
            self._enqueuer.restore(*sequence)
            self._start_ms = start_ms
            self._clock.advance(now)
            raise
        finally:
            self._enqueuer.end_restart()
        self._active.reset()
        self.schedules.restart()
        self.rejections.clear()
        self.ignored_keys.clear()
        self.faults.restart()
        self._configure()

    # jobs

    async def enqueue(self, namespace: str, queue: str, data: bytes) -> Job:
        """Accept a job; it is on disk when this returns.

        Raises NotFound (unknown_namespace, unknown_queue), ShuttingDown, StorageUnavailable.
        """
        return await self._enqueuer.enqueue(namespace, queue, data)

    async def ledger(self) -> list[LedgerEntry]:
        """Return every attempt since the last reset, in starting order."""
        return await self._store.queries.ledger()

    # storage

    @property
    def storage_error(self) -> str | None:
        """Return why the last write to the database failed, or None."""
        return self._store.error

    async def check_storage(self) -> str:
        """Return `ok`, or what SQLite finds wrong in the file."""
        return await self._store.queries.check()


def _unusable_hint(path: Path) -> str:
    return (
        f"Free some space or release the file, then start again. If {path} is damaged, keep a copy, and start with "
        "another --db PATH"
    )
