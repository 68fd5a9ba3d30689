"""Run one server from start to stop; reads from top to bottom.

Order: lock, bind, open, recover, serve. Nothing is recovered before the port is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from localqueue import __version__, app, events, sockets, watch
from localqueue.clock import WallClock
from localqueue.delivery import Delivery
from localqueue.engine import Engine
from localqueue.errors import CatalogError
from localqueue.models import Catalog, Finding
from localqueue.settings import Settings
from localqueue.store import files

LEAVE_S = 1.0
"""How long a stop may still take after the second signal."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Tell where the server listens and where it keeps jobs."""

    url: str
    port: int
    db: Path
    is_ephemeral: bool


async def serve(
    settings: Settings,
    load: Callable[[], Catalog],
    paths: list[Path],
    report: events.Report,
    ready: Callable[[Ready], None],
) -> None:
    """Serve until a signal asks to stop. Raises StartError."""
    load()  # a wrong catalog stops the start before anything is touched
    with _database(settings) as (db, lock):
        listeners = sockets.bind(settings.host, settings.port)
        with contextlib.ExitStack() as stack:
            for listener in listeners:
                stack.callback(listener.close)
            port = int(listeners[0].getsockname()[1])
            lock.tell(port)

            def load_checked() -> Catalog:
                return _refuse_own_address(load(), port)

            catalog = load_checked()
            sockets.raise_file_limit()
            where = Ready(f"http://localhost:{port}", port, db, settings.ephemeral)
            await _run(settings, catalog, watch.CatalogWatch(paths, load_checked), listeners, where, report, ready)


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


async def _run(
    settings: Settings,
    catalog: Catalog,
    catalogs: watch.CatalogWatch,
    listeners: list[socket.socket],
    where: Ready,
    report: events.Report,
    ready: Callable[[Ready], None],
) -> None:
    clock, delivery = WallClock(), Delivery()
    durable = not settings.ephemeral
    engine = await Engine.open(where.db, catalog, clock, delivery, report, durable=durable, keep=settings.keep)
    is_closed = False
    try:
        engine.start()
        server = _Server(_config(engine, settings, report))
        serving = asyncio.create_task(server.serve(sockets=listeners))
        await server.is_up.wait()
        with _signals() as signals, _server_file(where):
            ready(where)
            watching = asyncio.create_task(watch.run(clock, engine, catalogs, where.db, report))
            checking = asyncio.create_task(_check_storage(engine, report))
            failed = await _until_stopped(signals.first, watching, asyncio.create_task(engine.wait_broken()))
            checking.cancel()
            engine.refuse_jobs()
            report(events.Stopping(engine.running))
            await _close(engine, settings.grace, signals)
            is_closed = True
            server.should_exit = True
            await serving
            if failed is not None:
                raise failed
    finally:
        if not is_closed:
            await engine.close()
        await delivery.aclose()


async def _check_storage(engine: Engine, report: events.Report) -> None:
    """Look through the file once; after ready, for that takes a while with a million jobs."""
    found = await engine.check_storage()
    if found != "ok":
        report(events.Warned(f"the database is damaged: {found}; keep a copy and start with another --db"))


async def _until_stopped(
    asked: asyncio.Event, watching: asyncio.Task[None], broken: asyncio.Task[None]
) -> BaseException | None:
    waiting = asyncio.create_task(asked.wait())
    tasks = [waiting, watching, broken]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    failures = [task.exception() for task in done if not task.cancelled()]
    return next((failure for failure in failures if failure is not None), None)


async def _close(engine: Engine, grace: float, signals: _Signals) -> None:
    """Close with grace, or at once when a second signal comes."""
    closing = asyncio.create_task(engine.close(grace))
    second = asyncio.create_task(signals.second.wait())
    await asyncio.wait([closing, second], return_when=asyncio.FIRST_COMPLETED)
    second.cancel()
    if not closing.done():
        asyncio.get_running_loop().call_later(LEAVE_S, os._exit, 0)
        engine.hurry()
    await closing


class _Signals:
    """Count the signals that ask to stop."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def came(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    loop, found = asyncio.get_running_loop(), _Signals()
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for kind in kinds:
        loop.add_signal_handler(kind, found.came)
    try:
        yield found
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)


@contextlib.contextmanager
def _server_file(where: Ready) -> Iterator[None]:
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
        if _is_own(service.target, port)
    ]
    if found:
        raise CatalogError(found)
    return catalog


def _is_own(target: str, port: int) -> bool:
    parts = urlsplit(target)
    return (parts.port or 80) == port and _is_this_machine(parts.hostname or "")


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def _config(engine: Engine, settings: Settings, report: events.Report) -> uvicorn.Config:
    asgi = app.build(
        engine,
        report,
        max_body=settings.max_body,
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
