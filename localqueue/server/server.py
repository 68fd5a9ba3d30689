"""Run one server from start to stop.

Order: lock, bind, open, recover, serve. Nothing is recovered before the port is bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shlex
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from localqueue.api import app
from localqueue.api.app import App
from localqueue.api.context import ServerInfo
from localqueue.core import events
from localqueue.core.addresses import is_this_machine, split_url
from localqueue.core.clock import Clock, VirtualClock, WallClock
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding
from localqueue.core.settings import Settings
from localqueue.delivery.delivery import Delivery
from localqueue.engine.double_delivery import DoubleDelivery
from localqueue.engine.engine import Engine
from localqueue.engine.executor import Deliverer
from localqueue.server import file_watcher, sockets
from localqueue.server.http_server import HttpServer
from localqueue.store import files
from localqueue.store.database_lock import DatabaseLock
from localqueue.store.temporary_folder import TemporaryFolder

CHECK_LIMIT = 1024 * 1024 * 1024
"""Larger files aren't checked: the write-ahead log can't be reset during a check, and grows by hundreds of MB."""
UNCHECKED = (
    "the database is larger than 1 GiB and wasn't checked for damage. To check it, stop the server and run: "
    "sqlite3 {} 'PRAGMA quick_check'"
)
EXIT_S = 1.0
"""How long a stop may still take after the second signal."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The URL of a server and the place where it stores jobs; `app` answers calls from within the process."""

    url: str
    port: int
    db: Path
    is_ephemeral: bool
    clock: str
    host: str | None = None
    allow_remote: bool = False
    app: App | None = None
    crash_report: str = ""
    lost_log: str = ""
    delivers_twice: bool = False
    chaos: float = 0.0
    has_timeouts: bool = True
    fires_schedules: bool = True


Use = Callable[[RunningServer, Engine], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The things to serve: settings, the catalog files and how to load them, and the listener for events.

    `wrap` puts something around the delivery: stubs in tests. `skip_grace` ends the grace period of a stop.
    """

    settings: Settings
    load: Callable[[], Catalog]
    paths: list[Path]
    report: events.Report
    wrap: Callable[[Deliverer], Deliverer] = lambda deliverer: deliverer
    skip_grace: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(config: ServerConfig, use: Use) -> None:
    """Serve while `use` runs; it is called once the server accepts requests. Raises StartError."""
    seen = file_watcher.stamps(config.paths)  # before the load, so that an edit during the start is noticed
    catalog = config.load()  # a catalog with errors stops the start before anything is touched
    with _database(config.settings) as (db, lock), contextlib.ExitStack() as stack:
        listeners = sockets.bind(config.settings.host, config.settings.port)
        for listener in listeners:
            stack.callback(listener.close)
        port = int(listeners[0].getsockname()[1])
        lock.write_holder(port, is_open=False)
        settings = config.settings
        where = RunningServer(
            _own_url(settings.host, port),
            port,
            db,
            settings.ephemeral,
            settings.clock,
            settings.host,
            settings.allow_remote,
            delivers_twice=settings.deliver_twice,
            chaos=settings.chaos,
            lost_log=lock.lost_log,
            has_timeouts=not settings.no_timeouts,
            fires_schedules=settings.schedules,
        )
        await _run(config, _refuse_own_address(catalog, port), seen, listeners, where, lock, use)


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[tuple[Path, DatabaseLock]]:
    with contextlib.ExitStack() as stack:
        db = settings.db
        if settings.ephemeral:
            folder = stack.enter_context(contextlib.closing(TemporaryFolder()))
            db = folder.path / "queue.db"
        files.check_name(db)
        lock = stack.enter_context(contextlib.closing(DatabaseLock(db)))
        files.prepare_folder(db)
        lock.acquire()
        yield db, lock


async def _run(
    config: ServerConfig,
    catalog: Catalog,
    seen: file_watcher.Stamps,
    listeners: list[socket.socket],
    where: RunningServer,
    lock: DatabaseLock,
    use: Use,
) -> None:
    def load() -> Catalog:
        return _refuse_own_address(config.load(), where.port)

    async with contextlib.AsyncExitStack() as stack:  # its order is the order of the stop, read upwards
        clock = _clock(config.settings)
        delivery = await stack.enter_async_context(contextlib.aclosing(Delivery()))
        http = await stack.enter_async_context(HttpServer())
        deliverer: Deliverer = delivery
        if config.settings.deliver_twice:
            deliverer = DoubleDelivery(delivery, lambda event: engine.hub(event))
        engine = await _open_engine(config, catalog, clock, config.wrap(deliverer), where)
        stack.push_async_callback(_close, engine, config.settings.grace, config.skip_grace)
        lock.write_holder(where.port, is_open=True)
        stack.callback(lock.mark_closed, where.port)
        engine.start()
        if config.settings.wait_for_service or config.settings.hold_while_down:
            engine.watch_services()
        where = replace(where, app=_app(engine, config.settings, where), crash_report=engine.crash_report)
        assert where.app is not None
        await http.start(where.app, listeners)
        await stack.enter_async_context(_in_background(_check_storage(engine, where.db)))
        catalogs = file_watcher.CatalogWatcher(clock, config.paths, load, seen)
        await _until_first_ends(
            _use(use, where, engine),
            file_watcher.run(clock, engine, catalogs, where.db),
            engine.wait_failed(),
        )


async def _open_engine(
    config: ServerConfig, catalog: Catalog, clock: Clock, deliverer: Deliverer, where: RunningServer
) -> Engine:
    settings = config.settings
    return await Engine.open(
        where.db,
        catalog,
        clock,
        deliverer,
        config.report,
        settings,
    )


def _clock(settings: Settings) -> Clock:
    return VirtualClock(settings.start_ms) if settings.clock == "virtual" else WallClock()


def _app(engine: Engine, settings: Settings, where: RunningServer) -> App:
    is_ours = functools.partial(is_own, port=where.port)
    return app.build(
        engine,
        ServerInfo(where.url, where.db, where.is_ephemeral, is_ours, settings.max_body),
        allow_hosts=settings.allow_host,
        allow_remote=settings.allow_remote,
    )


async def _use(use: Use, where: RunningServer, engine: Engine) -> None:
    await use(where, engine)


async def _check_storage(engine: Engine, db: Path) -> None:
    """Check the whole file once, after startup, because it is slow with a million jobs."""
    if db.stat().st_size > CHECK_LIMIT:
        engine.hub(events.Warned(UNCHECKED.format(shlex.quote(str(db)))))
        return
    result = await engine.check_storage()
    if result != "ok":
        engine.hub(events.Warned(f"the database is damaged: {result}. Keep a copy, and start with another --db PATH"))


@contextlib.asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a coroutine during a block, and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_first_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until the first one ends, and cancel the others. Raises what it raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _close(engine: Engine, grace: float, skip_grace: asyncio.Event) -> None:
    """Close with a grace period in seconds, which `skip_grace` ends."""
    engine.refuse_jobs()
    engine.hub(events.Stopping(engine.running))
    closing = asyncio.create_task(engine.close(grace))
    skipped = asyncio.create_task(skip_grace.wait())
    await asyncio.wait([closing, skipped], return_when=asyncio.FIRST_COMPLETED)
    skipped.cancel()
    if not closing.done():
        asyncio.get_running_loop().call_later(EXIT_S, os._exit, 0)
        engine.skip_grace()
    await closing


def _own_url(host: str | None, port: int) -> str:
    """Return the URL by which programs on this machine reach the server."""
    if host is None or is_this_machine(host):
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refuse_own_address(catalog: Catalog, port: int) -> Catalog:
    findings = [
        Finding(service.path, 0, 0, "own_address", f"the target {service.target} is localqueue itself")
        for service in catalog.services
        if is_own(service.target, port)
    ]
    if findings:
        raise CatalogError(findings)
    return catalog


def is_own(target: str, port: int) -> bool:
    """Return whether a target is localqueue itself."""
    _, host, own_port = split_url(target)
    return own_port == port and is_this_machine(host)
