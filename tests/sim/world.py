"""Be the machine on which localqueue runs: a process that can be started, stopped and killed, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import aiosqlite

from localqueue.core import events, ids, real_time
from localqueue.core.clock import VirtualClock, WallClock
from localqueue.core.errors import DatabaseUnusable, RequestError, StorageUnavailable, Unavailable
from localqueue.core.faults import parse_faults
from localqueue.core.models import Catalog, Queue, QueueKey, Schedule, Service
from localqueue.core.settings import Settings
from localqueue.delivery import tcp_connect
from localqueue.delivery.delivery import Delivery
from localqueue.engine import engine as engine_module
from localqueue.engine.engine import Engine
from tests.sim import history, service, verbs
from tests.sim.disk import Disk, StoreCalls
from tests.sim.history import (
    Called,
    Configured,
    Crashed,
    Gone,
    History,
    Opened,
    Returned,
    Stopped,
    Tick,
    Trouble,
    Wrong,
)
from tests.sim.loop import SimLoop, Stuck

START_MS = 1_767_225_600_000
PATIENCE_S = 3600.0
"""The loop time within which every call must return."""
MOST_TICKS = 1500
"""After so many seconds of a process nothing ticks any more, so that waiting for ever is noticed."""
Handler = Callable[[str], Awaitable[service.Reaction]]


def period_ms(schedule: Schedule) -> int:
    """Return by how many ms a schedule of the simulation fires: all of them are `* * * * *` or `*/N * * * *`."""
    return int(schedule.cron.split()[0].partition("/")[2] or 1) * 60_000


class _RecordingClock:
    """Tell when a clock is moved."""

    moved: Callable[[int, int], None] | None = None

    def advance(self, to: int) -> None:
        before = self.now()
        super().advance(to)  # type: ignore[misc]
        self._record(before)

    def reset(self) -> None:
        before = self.now()
        super().reset()  # type: ignore[misc]
        self._record(before)

    def now(self) -> int:
        return int(super().now())  # type: ignore[misc]

    def _record(self, before: int) -> None:
        if self.moved is not None and self.now() != before:
            self.moved(before, self.now())


class _Virtual(_RecordingClock, VirtualClock):
    pass


class _Wall(_RecordingClock, WallClock):
    pass


class Machine:
    """Be the system's clocks, in place of those of `real_time`: they follow the loop, and can be set."""

    def __init__(self, real: Callable[[], float]) -> None:
        self.monotonic = real
        self.skew_s = 0.0

    def time(self) -> float:
        """Return what the system takes for the time."""
        return START_MS / 1000 + self.monotonic() + self.skew_s

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the functions in the order of `real_time.SYSTEM`; nothing sleeps in a simulation."""
        return self.time, self.monotonic, _no_sleep


def _no_sleep(seconds: float) -> None:
    raise AssertionError("a simulation has no thread that could sleep")


class World:
    """Run the engine, and write down what happens.

    `handler` is what the service does with a delivery, given the id of its job or the name of its schedule; `real` is
    the loop's time. Jobs wait until their services listen if `silent` has those that don't at first.
    """

    def __init__(
        self,
        folder: Path,
        queues: Mapping[QueueKey, Queue],
        handler: Handler,
        real: Callable[[], float],
        *,
        seed: int = 0,
        keep: int = 10_000,
        mode: str = "virtual",
        schedules: Sequence[Schedule] = (),
        silent: Collection[str] | None = None,
        calls: StoreCalls | None = None,
        print_line: Callable[[str], None] | None = None,
    ) -> None:
        self._path = folder / "queue.db"
        self._keep, self._mode, self._schedules = keep, mode, schedules
        self._is_waiting = silent is not None
        self.silent = set(silent or ())
        self._store_calls = calls or StoreCalls()
        self._ticks, self._ids = random.Random(f"{seed}:ticks"), random.Random(f"{seed}:ids")
        self._handler = handler
        self._declared = dict(queues)
        self._changes: dict[QueueKey, dict[str, Any]] = {}
        self._targets: dict[str, str] = {}
        self._namespaces = list(dict.fromkeys(namespace for namespace, _ in queues))
        self._inside: set[asyncio.Task[None]] = set()
        self._outside: set[asyncio.Task[Any]] = set()
        self._services: list[service.Service] = []
        self._calls = 0
        self.catalog = dict(queues)
        self.machine = Machine(real)
        self.clock: _Virtual | _Wall = _Virtual(START_MS)
        self.history = History(lambda: self.clock.now(), real, print_line)
        self.engine: Engine | None = None

    # the process

    async def open(self, fuse: int | None = None, trouble: Sequence[str] = ()) -> None:
        """Start the process: open the file, recover, be ready. It dies after `fuse` statements, perhaps on the way."""
        self._crashed = asyncio.get_running_loop().create_future()
        self.disk = Disk(self._ticks, self._died, self._troubled, self._store_calls)
        self.disk.fuse = fuse
        self.disk.trouble += trouble
        self._service = service.Service(self.history, self._handler)
        self._services.append(self._service)
        self._changes, self._targets = {}, {}
        self.clock = _Virtual(START_MS) if self._mode == "virtual" else _Wall()
        self._delivery = Delivery(transport=self._service.transport)
        await self._finished(self._spawn_inside(self._open()))

    async def _open(self) -> None:
        tap = functools.partial(service.Tap, self._service)
        settings = Settings(
            ephemeral=True, clock=self._mode, keep=self._keep, schedules=bool(self._schedules),
            wait_for_service=self._is_waiting,
        )  # fmt: skip
        with (
            mock.patch.object(aiosqlite, "connect", self.disk.connect),
            mock.patch.object(engine_module, "FaultInjector", tap),
        ):
            try:
                engine = await Engine.open(
                    self._path, self._catalog(), self.clock, self._delivery, self._report, settings
                )
            except (DatabaseUnusable, StorageUnavailable):
                if not self._store_calls.failing:
                    raise
                self.disk.kill()  # a start that fails is over
        if self.disk.is_dead:
            return
        engine.start()
        if self._is_waiting:
            engine.watch_services()
        self.engine = engine
        self._spawn_inside(engine.wait_failed()).set_name("dispatcher")
        periods = {each.namespace: period_ms(each) for each in self._schedules}
        silent = frozenset(self.silent) if self._is_waiting else None
        self.history.add(Opened(self._in_force(), self._all_targets(), self._keep, self._mode, periods, silent))
        self.clock.moved = lambda before, after: self.history.add(history.Moved(before, after))
        if self._mode == "wall":
            self._tick_later(engine, MOST_TICKS)

    def _tick_later(self, engine: Engine, ticks: int) -> None:
        asyncio.get_running_loop().call_later(1, self._tick, engine, ticks - 1)

    def _tick(self, engine: Engine, ticks: int) -> None:
        """Do what happens each second, as long as the process lives: look at the clock."""
        if self.engine is engine and ticks:
            engine.check_clock()
            self.history.add(Tick())
            self._tick_later(engine, ticks)

    def _report(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded) and not self.disk.is_dead:
            self.history.add(history.ended(event.job, event.attempt))

    def _troubled(self, message: str) -> None:
        if self.engine is not None:  # a start that fails has no clock yet
            self.history.add(Trouble(message))

    def _died(self) -> None:
        self.history.add(Crashed())
        self._leave()
        self._service.is_cut_off = True
        self._crashed.set_result(None)

    def _leave(self) -> None:
        self.engine = None
        self.clock.moved = None

    async def discard(self) -> None:
        """End what is left of a process that has died, and look at its file."""
        while left := self._left():  # an attempt that a reset cuts off takes the first cancellation for that
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=PATIENCE_S)
        self.history.add(history.read_disk(self._path))

    async def stop(self, grace: float = 0.0) -> None:
        """Stop the process as a signal does, and look at what it leaves behind."""
        await self.call("stop", grace)
        if self.disk.is_dead:
            return
        self._leave()
        await self._delivery.aclose()
        if self._inside:
            await asyncio.wait(self._inside, timeout=PATIENCE_S)
        self.history.add(Stopped())
        self._check_for_leaks()
        self.history.add(history.read_disk(self._path, is_thorough=True))

    def _left(self) -> set[asyncio.Task[Any]]:
        """Return the tasks of the process."""
        handlers = {task for each in self._services for task in each.tasks}
        return asyncio.all_tasks() - {asyncio.current_task()} - self._outside - handlers

    def _check_for_leaks(self) -> None:
        found = [f"a call that is never responded: {task.get_name()}" for task in self._inside]
        if left := self._left() - self._inside:
            found.append(f"{len(left)} tasks left behind: {left}")
        if self._service.open:
            found.append(f"{self._service.open} connections left open")
        if any(connection.is_open for connection in self.disk.connections):
            found.append("a connection to the database left open")
        for what in found:
            self.history.add(Wrong(what))
        for task in self._inside:
            task.cancel()

    def reproducible_ids(self) -> contextlib.AbstractContextManager[Any]:
        """Let ids be random, but the same for the same seed."""
        return mock.patch.object(ids, "random_bytes", lambda *_: self._ids.randbytes(10))

    def close(self) -> None:
        """Let go of the file, whatever has happened."""
        for connection in self.disk.connections:
            connection.abandon()

    # clients

    async def call(self, verb: str, *args: Any, gone_after_s: float | None = None) -> Any:
        """Ask the engine for something as a client does; return what came of it, or None if nothing did."""
        answer = await self.ask(verb, *args, gone_after_s=gone_after_s)
        return answer.value if answer is not None and answer.code == "ok" else None

    async def ask(self, verb: str, *args: Any, gone_after_s: float | None = None) -> Returned | None:
        """Ask the engine for something as a client does; return its answer, or None if there was none."""
        engine = self.engine
        if engine is None:
            return None
        call, self._calls = self._calls, self._calls + 1
        answers: list[Returned] = []
        task = self._spawn_inside(self._answer(engine, call, verb, args, answers))
        task.set_name(f"{verb}#{call}")
        await self._finished(task, gone_after_s)
        if not task.done() and not self.disk.is_dead:
            task.cancel()
            await asyncio.wait([task])
            self.history.add(Gone(call))
        return answers[0] if answers else None

    async def _answer(
        self, engine: Engine, call: int, verb: str, args: tuple[Any, ...], answers: list[Returned]
    ) -> None:
        self.history.add(Called(call, verb, args))
        try:
            found = await verbs.VERBS[verb](engine, *args)
        except (RequestError, Unavailable) as error:
            answer = Returned(call, error.code, error.message)
        else:
            answer = Returned(call, "ok", found)
        answers.append(answer)
        if self.disk.is_dead:
            return
        if verb == "reset" and answer.code == "ok":
            self._changes, self._targets = {}, {}
            self._configured()
        self.history.add(answer)

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let a client do something meanwhile; it outlives the process."""
        task = asyncio.create_task(work)
        self._outside.add(task)
        task.add_done_callback(self._outside.discard)

    async def wait_outside(self) -> None:
        """Return when no client and no handler is at work."""
        while waiting := self._outside | {task for each in self._services for task in each.tasks}:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    def _spawn_inside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._inside.add(task)
        task.add_done_callback(self._ended_inside)
        return task

    def _ended_inside(self, task: asyncio.Task[None]) -> None:
        self._inside.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.disk.is_dead:
            self.history.add(Wrong(f"{task.get_name()} raised {type(error).__name__}: {error}"))

    async def _finished(self, task: asyncio.Task[None], timeout: float | None = None) -> None:
        """Return when the task is done, the process dead, or the time over."""
        await asyncio.wait([task, self._crashed], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    # the catalog

    def edit(self, key: QueueKey, queue: Queue | None) -> None:
        """Change a queue in the catalog, or take it out."""
        self.catalog.pop(key, None)
        if queue is not None:
            self.catalog[key] = queue
        self.apply()

    def restore(self) -> None:
        """Undo all edits of the catalog."""
        self.catalog = dict(self._declared)
        self.apply()

    def apply(self) -> None:
        """Let the catalog take effect."""
        if self.engine is not None:
            self.engine.use(self._catalog())
            self._configured()

    def change(self, key: QueueKey, field: str, name: str, value: int) -> None:
        """Change a setting until the next reset; `name` is what the catalog calls it."""
        if self.engine is not None and key in self.catalog:
            self.engine.change_queue(*key, {name: value})
            self._changes.setdefault(key, {})[field] = value
            self._configured()

    # the services

    async def listens(self, url: str) -> bool:
        """Be `tcp_connect.listens`."""
        await asyncio.sleep(0.001)
        return str(urlsplit(url).hostname).partition(".")[0].rstrip("0123456789") not in self.silent

    def listen(self, namespace: str) -> None:
        """Let a service listen from now on."""
        if namespace in self.silent:
            self.silent.discard(namespace)
            self.history.add(history.Listening(namespace))

    async def hold(self, id_: str) -> None:
        """Let a running attempt take any time."""
        self._service.held.add(id_)
        await self.call("hold", id_, True)

    async def release(self, id_: str) -> None:
        """Let an attempt take any time no longer; ask again while the file can't be read, or it would never end."""
        self._service.held.add(id_)  # it may be another process than the one that held it
        while (answer := await self.ask("hold", id_, False)) is not None and answer.code == "storage_unavailable":
            await asyncio.sleep(1)
            self._service.held.add(id_)

    def script(self, key: QueueKey, words: Sequence[str]) -> None:
        """Script the outcomes of the next attempts of a queue."""
        if self.engine is not None and key in self.catalog:
            self.engine.add_faults(*key, parse_faults(words))
            self.history.add(history.Scripted(key, tuple(words)))

    def change_target(self, namespace: str, url: str) -> None:
        """Change where a service listens until the next reset."""
        if self.engine is not None:
            self.engine.change_target(namespace, url)
            self._targets[namespace] = url
            self._configured()

    def _catalog(self) -> Catalog:
        return Catalog(tuple(
            Service(namespace, f"http://{namespace}.test:3000", "catalog-info.yaml",
                    tuple(queue for queue in self.catalog.values() if queue.namespace == namespace),
                    tuple(each for each in self._schedules if each.namespace == namespace))
            for namespace in self._namespaces
        ))  # fmt: skip

    def _in_force(self) -> dict[QueueKey, Queue]:
        return {key: replace(queue, **self._changes.get(key, {})) for key, queue in self.catalog.items()}

    def _all_targets(self) -> dict[str, str]:
        return dict(self._catalog().targets) | self._targets

    def _configured(self) -> None:
        self.history.add(Configured(self._in_force(), self._all_targets()))


def run(loop: SimLoop, world: World, work: Coroutine[Any, Any, None]) -> History:
    """Do something with a world, to the end; return what happened."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        world.history.add(Wrong(f"{context['message']}: {type(error).__name__}: {error}"))

    loop.set_exception_handler(report)  # otherwise a traceback, and nobody is responsible for it
    try:
        with (
            world.reproducible_ids(),
            mock.patch.object(real_time, "SYSTEM", world.machine.functions),
            mock.patch.object(tcp_connect, "listens", world.listens),
        ):
            loop.run_until_complete(work)
    except Stuck as error:
        world.history.add(Wrong(str(error)))
    finally:
        world.close()
        _end(loop)
    return world.history


def _end(loop: SimLoop) -> None:
    if left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        with contextlib.suppress(Stuck):
            loop.run_until_complete(asyncio.wait(left))
    loop.close()
