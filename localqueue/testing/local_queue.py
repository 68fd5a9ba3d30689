"""A queue for tests: start it once, reset it per test, advance the clock instead of waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from localqueue.catalog import loader, targets
from localqueue.client.client import Client
from localqueue.core import clock, events
from localqueue.core.errors import ClientError
from localqueue.core.models import Catalog, QueueKey
from localqueue.core.text import counted, nearest
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server
from localqueue.store.temporary_folder import TemporaryFolder
from localqueue.testing import assertions, results, tracebacks
from localqueue.testing.app_server import AppServer, ExceptionLog, start_app
from localqueue.testing.arguments import Duration, to_id, to_ms, to_time
from localqueue.testing.assertions import ANY
from localqueue.testing.background_thread import BackgroundThread
from localqueue.testing.in_process import InProcessConnection
from localqueue.testing.results import EndedAttempt, Job
from localqueue.testing.setup import CatalogSource, catalog_paths, make_settings, served_namespaces
from localqueue.testing.stub_workers import StubWorker, StubWorkers


class LocalQueue:
    """A queue for tests: a server on a free port, with the virtual clock and a temporary file.

    `catalog` is a path, a catalog as a dict, or a list of those; by default the catalog of the current folder.
    `target` is the base URL of the service, unless it is given with `serve`. `options` are those of `up`.
    """

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
        self._stubs = StubWorkers(None if self._served is None else set(self._served))
        self._warnings: list[str] = []
        self._apps: dict[str, AppServer] = {}
        self._exception_log = ExceptionLog(self._add_exception)
        self._background = BackgroundThread("localqueue", self._serve, event_loop.loop_factory())
        self._client: Client | None = None

    # start and stop

    def __enter__(self) -> LocalQueue:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and (problem := self.problem()):
                raise AssertionError(problem)
        finally:
            self.close()

    def start(self) -> None:
        """Start the server; return once it accepts requests. Raises StartError."""
        try:
            self._background.start()
        except BaseException:
            self._folder.close()
            raise

    def close(self) -> None:
        """Stop the server and the service under test."""
        try:
            self._stop_apps()
            if self._client is not None:
                self._client.close()
            self._background.stop()
        finally:
            self._stubs.close()
            self._folder.close()

    async def _serve(self, started: Callable[[], None], stop: Any) -> None:
        async def use(where: server.RunningServer, engine: Engine) -> None:
            assert where.app is not None
            self.url, self._engine = where.url, engine
            self._client = Client(InProcessConnection(where.url, where.app, asyncio.get_running_loop()))
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

    def _add_exception(self, error: BaseException) -> None:
        text = tracebacks.format_exception(error)
        if text not in self._stubs.exceptions:
            self._stubs.exceptions.append(text)

    @property
    def client(self) -> Client:
        """Return the client of the control API, for what this class has no method for."""
        if self._client is None:
            raise ClientError("this queue hasn't been started", "Use it in a with statement, or call start().")
        return self._client

    def reset(self) -> None:
        """Delete all jobs, restore the initial state, and forget stubs and the service under test."""
        self.client.reset()
        self._stop_apps()
        self._stubs.clear(self._served)
        self._warnings.clear()

    # the service under test

    def serve(self, app: Any, namespace: str | None = None) -> str:
        """Run the service under test, an ASGI or WSGI app, or name its URL; return the URL.

        Each namespace has its own service. Raises ClientError.
        """
        namespace = namespace or self.namespace
        if (previous := self._apps.pop(namespace, None)) is not None:
            previous.stop()
        if isinstance(app, str):
            url = app
        else:
            logging.getLogger().addHandler(self._exception_log)
            self._apps[namespace] = start_app(app, self._add_exception)
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

    def _stop_apps(self) -> None:
        apps, self._apps = self._apps, {}
        logging.getLogger().removeHandler(self._exception_log)
        with contextlib.ExitStack() as stack:  # every one, whatever another one raises
            for app in apps.values():
                stack.callback(app.stop)

    # jobs

    @property
    def namespace(self) -> str:
        """Return the namespace of the (first) service in the catalog."""
        return next(iter(self._engine.catalog.targets), "")

    def _key(self, queue: str, namespace: str | None) -> QueueKey:
        """Return the key of a declared queue. Raises ClientError: a mistyped name must not pass a test."""
        declared = self._engine.catalog.queues
        matches = [key for key in declared if key[1] == queue and namespace in (None, key[0])]
        if len(matches) > 1:
            names = ", ".join(key[0] for key in matches)
            raise ClientError(f"several namespaces have a queue {queue!r}: {names}", "Give namespace=...")
        if not matches:
            where = "" if namespace is None else f" in namespace {namespace!r}"
            known = ", ".join(nearest(queue, {key[1] for key in declared})) or "none"
            raise ClientError(f"unknown queue {queue!r}{where}; declared: {known}")
        return matches[0]

    def enqueue(self, queue: str, data: Any = None, namespace: str | None = None) -> Job:
        """Enqueue a job as a service would; return it. Raises ClientError."""
        return self.job(self.client.enqueue(*self._key(queue, namespace), json.dumps(data)))

    def job(self, id: Job | str) -> Job:
        """Return a job as it is now, with its data and its attempts. Raises ClientError."""
        return results.job(self.client.job(to_id(id)))

    def jobs(self, queue: str | None = None, state: str | None = None, namespace: str | None = None) -> list[Job]:
        """Return every matching job, oldest first, with its data and its attempts. Raises ClientError."""
        if queue is not None:
            namespace, queue = self._key(queue, namespace)
        listed = self.client.jobs(queue=queue, state=state, namespace=namespace, details="true")
        return [results.job(content) for content in listed][::-1]

    def retry(self, job: Job | str) -> None:
        """Start a new round of a failed or cancelled job."""
        self.client.retry(to_id(job))

    def cancel(self, job: Job | str) -> None:
        """Cancel a job."""
        self.client.cancel(to_id(job))

    def configure(self, queue: str, namespace: str | None = None, **settings: int) -> None:
        """Change settings of a queue, under the catalog's names, for this test. Raises ClientError."""
        self.client.change_queue(*self._key(queue, namespace), settings)

    # time

    @property
    def now(self) -> datetime:
        """Return the time of the queue's clock."""
        return datetime.fromisoformat(self.client.clock()["now"])

    def advance(
        self,
        by: Duration | None = None,
        *,
        to: str | datetime | None = None,
        settle: Duration = "0ms",
        **parts: float,
    ) -> list[EndedAttempt]:
        """Advance the clock by `"5s"`, `seconds=5` or a timedelta, or `to` a time or `"next"`; return the attempts.

        `settle` is real time that must pass without a new job.
        """
        if (by is not None) + (to is not None) + bool(parts) != 1:
            raise TypeError('use one of advance("5s"), advance(seconds=5), advance(to="next")')
        if to is not None:
            result = self.client.advance(to=to_time(to), settle_ms=to_ms(settle))
        else:
            result = self.client.advance(ms=to_ms(timedelta(**parts) if by is None else by), settle_ms=to_ms(settle))
        return [results.ended_attempt(content) for content in result["attempts"]]

    def drain(self, timeout: Duration = "30s", settle: Duration = "0ms") -> list[EndedAttempt]:
        """Run until nothing is queued, running or retrying; return the attempts.

        Raises AssertionError if that takes longer than `timeout`, in real time.
        """
        __tracebackhide__ = True
        result = self.client.drain(to_ms(timeout), to_ms(settle))
        if not result["idle"]:
            unfinished = [self.job(content["jobId"]) for content in result["unfinished"] if not content["held"]]
            raise AssertionError(f"jobs are unfinished after {timeout}:\n{assertions.list_jobs(unfinished)}")
        return [results.ended_attempt(content) for content in result["attempts"]]

    def wait_for(self, jobs: int, queue: str | None = None, timeout: Duration = "5s") -> None:
        """Wait, in real time, until this many jobs were enqueued since the reset. Raises AssertionError."""
        __tracebackhide__ = True
        key = None if queue is None else self._key(queue, None)
        if not clock.wait_until(lambda: self._enqueued(key) >= jobs, to_ms(timeout) / 1000):
            where = f" in {queue}" if queue else ""
            expected = counted(jobs, "job")
            raise AssertionError(f"expected {expected}{where} within {timeout}, got {self._enqueued(key)}")

    def _enqueued(self, key: QueueKey | None) -> int:
        queues = self.client.queues()
        return sum(int(each["enqueued"]) for each in queues if key in (None, (each["namespace"], each["name"])))

    def ledger(self) -> str:
        """Return every attempt, one per line, with times since the start."""
        return self.client.ledger_text()

    # assertions

    def assert_enqueued(self, queue: str, data: Any = ANY, count: int | None = None) -> list[Job]:
        """Check that jobs were enqueued, with this data, this many; return them. Raises AssertionError."""
        __tracebackhide__ = True
        matches = self._matching(queue, data)
        if len(matches) == count or (count is None and matches):
            return matches
        raise AssertionError(assertions.missing_message(queue, data, count, matches, self.jobs()))

    def refute_enqueued(self, queue: str, data: Any = ANY) -> None:
        """Check that no job with this data was enqueued. Raises AssertionError."""
        __tracebackhide__ = True
        if matches := self._matching(queue, data):
            raise AssertionError(assertions.unexpected_message(queue, data, matches))

    def _matching(self, queue: str, data: Any) -> list[Job]:
        return assertions.matching(self.jobs(queue=queue), data)

    # reports

    def problem(self) -> str | None:
        """Return which deliveries had neither a service nor a stub, or None."""
        return self._stubs.report() if self._stubs.unexpected else None

    def notes(self) -> list[tuple[str, str]]:
        """Return what helps to understand a failure, as (title, text)."""
        sections = [
            ("exceptions in handlers", "\n".join(self._stubs.exceptions)),
            ("unexpected deliveries", self.problem() or ""),
            ("warnings", "\n".join(self._warnings)),
            ("ledger", self.ledger()),
        ]
        return [(title, text) for title, text in sections if text]
