"""Run one server from start to stop; reads from top to bottom.

Order: lock, bind, open, recover, serve. Nothing is recovered before the port is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import ipaddress
import json
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from localqueue import __version__
from localqueue.api import app
from localqueue.api.context import ServerInfo
from localqueue.core import events
from localqueue.core.clock import Clock, VirtualClock, WallClock
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding
from localqueue.core.settings import Settings
from localqueue.delivery.delivery import Delivery
from localqueue.engine.engine import Engine
from localqueue.engine.executor import Deliverer
from localqueue.server import file_watcher, sockets
from localqueue.store import files

LEAVE_S = 1.0
"""How long a stop may still take after the second signal."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Tell where the server listens and where it keeps jobs."""

    url: str
    port: int
    db: Path
    is_ephemeral: bool
    clock: str


Use = Callable[[RunningServer, Engine], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Say what to serve: settings, how to read the catalog and from which files, and whom to tell.

    `wrap` puts something around the delivery: stand-ins in tests. `hurry` ends the grace of a stop.
    """

    settings: Settings
    load: Callable[[], Catalog]
    paths: list[Path]
    report: events.Report
    wrap: Callable[[Deliverer], Deliverer] = lambda deliverer: deliverer
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a server's coroutine on the fastest loop there is."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work)


def spare_collector() -> None:
    """Leave what the start has made out of later garbage collections, and make them rarer: jobs leave no cycles.

    For a process of our own only; in somebody's test process the collector is theirs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loop, or None where it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def serve(plan: ServerConfig, use: Use) -> None:
    """Serve while `use` runs: it is called once the server answers. Raises StartError."""
    plan.load()  # a wrong catalog stops the start before anything is touched
    with _database(plan.settings) as (db, lock):
        listeners = sockets.bind(plan.settings.host, plan.settings.port)
        with contextlib.ExitStack() as stack:
            for listener in listeners:
                stack.callback(listener.close)
            port = int(listeners[0].getsockname()[1])
            lock.tell(port)
            where = RunningServer(f"http://localhost:{port}", port, db, plan.settings.ephemeral, plan.settings.clock)
            await _run(plan, listeners, where, use)


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[tuple[Path, files.Lock]]:
    db = files.temporary() if settings.ephemeral else settings.db
    lock = files.Lock(db)
    try:
        files.prepare_folder(db)
        lock.acquire()
        files.prepare(db)
        yield db, lock
    finally:
        lock.release()
        if settings.ephemeral:
            shutil.rmtree(db.parent, ignore_errors=True)


async def _run(plan: ServerConfig, listeners: list[socket.socket], where: RunningServer, use: Use) -> None:
    settings, report = plan.settings, plan.report

    def load() -> Catalog:
        return _refuse_own_address(plan.load(), where.port)

    catalog, clock, delivery = load(), _clock(settings), Delivery()
    engine = await Engine.open(
        where.db,
        catalog,
        clock,
        plan.wrap(delivery),
        report,
        durable=not settings.ephemeral,
        keep=settings.keep,
        seed=settings.seed,
    )
    report = engine.hub
    is_closed = False
    try:
        engine.start()
        server = _Server(_config(engine, settings, where))
        serving = asyncio.create_task(server.serve(sockets=listeners))
        await server.is_up.wait()
        catalogs = file_watcher.CatalogWatcher(plan.paths, load)
        watching = asyncio.create_task(file_watcher.run(clock, engine, catalogs, where.db, report))
        checking = asyncio.create_task(_check_storage(engine, report))
        using = asyncio.create_task(_use(use, where, engine))
        failed = await _until_ended(using, watching, asyncio.create_task(engine.wait_failed()))
        checking.cancel()
        await asyncio.wait([checking])
        engine.refuse_jobs()
        report(events.Stopping(engine.running))
        await _close(engine, settings.grace, plan.hurry)
        is_closed = True
        server.should_exit = True
        await serving
        if failed is not None:
            raise failed
    finally:
        if not is_closed:
            await engine.close()
        await delivery.aclose()


async def _use(use: Use, where: RunningServer, engine: Engine) -> None:
    await use(where, engine)


def _clock(settings: Settings) -> Clock:
    return VirtualClock(settings.start_ms) if settings.clock == "virtual" else WallClock()


async def _check_storage(engine: Engine, report: events.Report) -> None:
    """Look through the file once; after ready, for that takes a while with a million jobs."""
    found = await engine.check_storage()
    if found != "ok":
        report(events.Warned(f"the database is damaged: {found}; keep a copy and start with another --db"))


async def _until_ended(*tasks: asyncio.Task[None]) -> BaseException | None:
    """Wait for the first of the tasks, end the others, and return what went wrong."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    failures = [task.exception() for task in done if not task.cancelled()]
    return next((failure for failure in failures if failure is not None), None)


async def _close(engine: Engine, grace: float, hurry: asyncio.Event) -> None:
    """Close with grace, or at once when asked to hurry."""
    closing = asyncio.create_task(engine.close(grace))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait([closing, hurried], return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not closing.done():
        asyncio.get_running_loop().call_later(LEAVE_S, os._exit, 0)
        engine.skip_grace()
    await closing


class Signals:
    """Count the signals that ask to stop."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def came(self) -> None:
        """Note one more."""
        (self.second if self.first.is_set() else self.first).set()


@contextlib.contextmanager
def signals() -> Iterator[Signals]:
    """Handle the signals that ask to stop."""
    loop, found = asyncio.get_running_loop(), Signals()
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for kind in kinds:
        loop.add_signal_handler(kind, found.came)
    try:
        yield found
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)


@contextlib.contextmanager
def announced(where: RunningServer) -> Iterator[None]:
    """Leave `server.json` for the commands that look for a server from a folder below."""
    path = Path(files.FOLDER) / "server.json"
    files.prepare_folder(path)
    content = {"url": where.url, "pid": os.getpid(), "db": str(where.db), "version": __version__}
    files.write_private(path, json.dumps(content))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _refuse_own_address(catalog: Catalog, port: int) -> Catalog:
    found = [
        Finding(service.path, 1, 1, "own_address", f"the target {service.target} is localqueue itself")
        for service in catalog.services
        if is_own(service.target, port)
    ]
    if found:
        raise CatalogError(found)
    return catalog


def is_own(target: str, port: int) -> bool:
    """Return whether a target is localqueue itself."""
    parts = urlsplit(target)
    return (parts.port or 80) == port and _is_this_machine(parts.hostname or "")


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def _config(engine: Engine, settings: Settings, where: RunningServer) -> uvicorn.Config:
    is_ours = functools.partial(is_own, port=where.port)
    asgi = app.build(
        engine,
        engine.hub,
        ServerInfo(where.url, where.db, where.is_ephemeral, is_ours, settings.max_body),
        allow_hosts=settings.allow_host,
        allow_remote=settings.allow_remote,
    )
    return uvicorn.Config(
        asgi,
        lifespan="off",
        log_config=None,
        log_level="critical",  # what goes wrong is answered, or told as an event
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=sockets.BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
    )


class _Server(uvicorn.Server):
    """Leave signals to us, and tell when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
