"""The server behind a LocalQueue: its start and stop, its stubs, and the services under test."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from localqueue.catalog import loader, targets
from localqueue.client.client import Client
from localqueue.core import events
from localqueue.core.errors import ClientError
from localqueue.core.models import Catalog, QueueKey
from localqueue.core.text import nearest
from localqueue.engine.engine import Engine
from localqueue.server import server
from localqueue.store.temporary_folder import TemporaryFolder
from localqueue.testing.app_server import AppServer, ExceptionLog, start_app
from localqueue.testing.background_thread import BackgroundThread
from localqueue.testing.handler_errors import HandlerErrors
from localqueue.testing.in_process import InProcessConnection
from localqueue.testing.late_threads import LateHandlerWarning
from localqueue.testing.real_time_loop import fastest_loop
from localqueue.testing.setup import CatalogSource, catalog_paths, make_settings, served_namespaces
from localqueue.testing.store_log_filter import LOGGER, StoreLogFilter
from localqueue.testing.stub_workers import StubWorker, StubWorkers

OnTime = Callable[[datetime], object]


class QueueServer:
    """A server on a free port, with the virtual clock and a temporary file.

    `catalog` is a path, a catalog as a dict, or a list of those; by default the catalog of the current folder.
    `target` is the base URL of the service, unless it is given with `serve`. `options` are those of `up`.
    """

    url: str

    def __init__(
        self, catalog: CatalogSource | Sequence[CatalogSource] | None = None, target: str | None = None, **options: Any
    ) -> None:
        self._settings = make_settings(target, options)
        self._folder = TemporaryFolder()
        try:
            self._paths = catalog_paths(catalog, self._folder.path)
        except BaseException:
            self._folder.close()
            raise
        self._served = served_namespaces(self._settings)
        self._errors = HandlerErrors()
        self._stubs = StubWorkers(
            self._errors, self._settings.clock == "virtual", None if self._served is None else set(self._served)
        )
        self._warnings: list[str] = []
        self._on_time: list[OnTime] = []
        self._apps: dict[str, AppServer] = {}
        self._exception_log = ExceptionLog(self._errors.add)
        self._background = BackgroundThread("localqueue", self._serve, fastest_loop)
        self._client: Client | None = None
        self._log_filter = StoreLogFilter()

    # start and stop

    def start(self) -> None:
        """Start the server; return once it accepts requests. Raises StartError."""
        _check_threads()
        self._log_filter.starting()
        LOGGER.addFilter(self._log_filter)
        try:
            self._background.start()
        except BaseException:
            LOGGER.removeFilter(self._log_filter)
            self._folder.close()
            raise
        self._log_filter.started()

    def close(self) -> None:
        """Stop the server and the service under test. Raises what its lifespan raised."""
        with contextlib.ExitStack() as stack:  # every step, whatever another one raises
            stack.callback(self._folder.close)
            stack.callback(LOGGER.removeFilter, self._log_filter)
            stack.callback(self._stubs.close)
            stack.callback(self._background.stop)
            if self._client is not None:
                stack.callback(self._client.close)
            stack.callback(self._stop_handlers)

    def reset(self) -> None:
        """Delete all jobs, restore the initial state, and forget stubs and the service under test.

        Handlers that still run are cut off, with a LateHandlerWarning. Raises what the service's lifespan raised.
        """
        try:
            self._stop_handlers()
        finally:
            self._on_time.clear()
            self._background.call(lambda: self._engine.reset())
            self._stubs.clear(self._served)
            self._errors.clear()
            self._warnings.clear()

    async def _serve(self, started: Callable[[], None], stop: Any) -> None:
        async def use(where: server.RunningServer, engine: Engine) -> None:
            assert where.app is not None
            self.url, self._engine = where.url, engine
            self._client = Client(InProcessConnection(where.url, where.app.asgi, asyncio.get_running_loop()))
            started()
            await stop.wait()

        config = server.ServerConfig(self._settings, self._load, self._paths, self._on_event, wrap=self._stubs.wrap)
        await server.serve(config, use)

    def _load(self) -> Catalog:
        target, by_namespace = targets.split_targets(self._settings.target)
        return loader.load(self._paths, namespace=self._settings.namespace, target=target, targets=by_namespace)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Warned):
            self._warnings.append(event.message)
        elif isinstance(event, events.Rejected) and event.is_news:
            self._warnings.append(f"refused: {event.rejection.code}: {event.rejection.message}")
        elif isinstance(event, events.TimeMoved):
            self._tell_time(event.now_ms)

    def on_time(self, callback: OnTime) -> None:
        """Call a function with the virtual time now, and whenever it moves, until the reset.

        So that another clock moves along: `on_time(frozen.move_to)` for freezegun, `on_time(traveller.move_to)` for
        time-machine. It is called before the attempts of that time start.
        """
        self._on_time.append(callback)
        callback(_moment(self._engine.now()))

    def _tell_time(self, now_ms: int) -> None:
        for callback in self._on_time:
            try:
                callback(_moment(now_ms))
            except Exception as error:  # it must not end the server; the test fails at its end
                self._errors.add(error)
                self._stubs.unexpected.append(f"on_time raised {type(error).__name__}: {error}")

    @property
    def client(self) -> Client:
        """Return the client of the control API, for what this class has no method for."""
        if self._client is None:
            raise ClientError("this queue hasn't been started", "Use it in a with statement, or call start().")
        return self._client

    # the service under test

    def serve(self, app: Any, namespace: str | None = None) -> str:
        """Run the service under test, an ASGI or WSGI app, or name its URL; return the URL.

        Each namespace has its own service. Raises ClientError.
        """
        namespace = namespace or self.namespace
        if (previous := self._apps.pop(namespace, None)) is not None:
            _warn_after(previous.stop)
        if isinstance(app, str):
            url = app
        else:
            logging.getLogger().addHandler(self._exception_log)
            self._apps[namespace] = start_app(app, self._errors.add)
            url = self._apps[namespace].url
        self.client.change_target(namespace, url)
        if self._stubs.served is not None:
            self._stubs.served.add(namespace)
        return url

    @property
    def target(self) -> str:
        """Return the base URL of the (first) service."""
        return str(self._engine.catalog.targets[self.namespace])

    @target.setter
    def target(self, url: str) -> None:
        self.serve(url)

    def worker(self, queue: str, namespace: str | None = None) -> StubWorker:
        """Return the stub for the service on a queue; it takes precedence over `serve`. Raises ClientError."""
        return self._stubs.get(self._key(queue, namespace))

    def _stop_handlers(self) -> None:
        """Stop every app, whatever another one raises, and warn of handlers that were still running."""
        apps, self._apps = self._apps, {}
        logging.getLogger().removeHandler(self._exception_log)
        with contextlib.ExitStack() as stack:
            for app in apps.values():
                stack.callback(_warn_after, app.stop)
            stack.callback(_warn_after, self._stubs.cut_off)

    # what it knows

    @property
    def namespace(self) -> str:
        """Return the namespace of the (first) service in the catalog."""
        return next(iter(self._engine.catalog.targets), "")

    def _key(self, queue: str, namespace: str | None) -> QueueKey:
        """Return the key of a declared queue. Raises ClientError: a mistyped name must not pass a test."""
        return _declared("queue", self._engine.catalog.queues, queue, namespace)

    def _schedule_key(self, schedule: str, namespace: str | None) -> QueueKey:
        """Return the key of a declared schedule. Raises ClientError."""
        return _declared("schedule", self._engine.catalog.schedules, schedule, namespace)

    def problem(self) -> str | None:
        """Return which deliveries had neither a service nor a stub, or None."""
        return self._stubs.report() if self._stubs.unexpected else None


def _declared(noun: str, keys: Iterable[QueueKey], name: str, namespace: str | None) -> QueueKey:
    matches = [key for key in keys if key[1] == name and namespace in (None, key[0])]
    if len(matches) > 1:
        names = ", ".join(key[0] for key in matches)
        raise ClientError(f"several namespaces have a {noun} {name!r}: {names}", "Give namespace=...")
    if not matches:
        where = "" if namespace is None else f" in namespace {namespace!r}"
        known = ", ".join(nearest(name, {key[1] for key in keys})) or "none"
        raise ClientError(f"unknown {noun} {name!r}{where}; declared: {known}")
    return matches[0]


def _check_threads() -> None:
    """Check that threads are real. Raises ClientError: with gevent's, waiting for the server would never end."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise ClientError(
            "gevent has replaced the threads of this process, and the queue needs real ones",
            "Run the queue in a process of its own: localqueue exec --clock virtual -- pytest",
        )


def _moment(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def _warn_after(stop: Callable[[], Sequence[str]]) -> None:
    for handler in stop():
        warnings.warn(f"{handler} was still running and was cut off", LateHandlerWarning, stacklevel=2)
