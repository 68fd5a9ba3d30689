"""Test a service against a real queue: start once, reset per test, move time instead of waiting."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from localqueue.catalog import loader
from localqueue.client.client import Client
from localqueue.core import clock, events
from localqueue.core.errors import ClientError
from localqueue.core.models import Catalog
from localqueue.core.settings import Settings
from localqueue.core.text import nearest
from localqueue.core.times import iso, parse_duration
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server
from localqueue.testing import results, tracebacks
from localqueue.testing.app_server import AppServer, ExceptionLog, start_app
from localqueue.testing.background_thread import BackgroundThread
from localqueue.testing.results import Job, MadeAttempt
from localqueue.testing.stub_workers import StubWorker, StubWorkers

Duration = str | timedelta
CatalogSource = str | Path | Mapping[str, Any]
ANY = object()
_DEFAULTS: dict[str, Any] = {"port": 0, "ephemeral": True, "clock": "virtual", "grace": 0.0}


class LocalQueue:
    """Be a queue for tests: a server on a free port, on the virtual clock, in a temporary file.

    `catalog` is a path, a catalog as a dict, or a list of those; without it the catalog of the current folder.
    `target` is where the service listens, unless it is given with `serve`. `options` are those of `up`.
    """

    def __init__(
        self, catalog: CatalogSource | Sequence[CatalogSource] | None = None, target: str | None = None, **options: Any
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="localqueue-"))
        self._paths = _catalog_paths(catalog, self._folder)
        self._settings = _settings(target, options)
        self._has_target = bool(self._settings.target)
        self._standins = StubWorkers(self._has_target)
        self._warnings: list[str] = []
        self._service: AppServer | None = None
        self._log = ExceptionLog(self._tell)
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
        """Return once the server answers. Raises StartError."""
        try:
            self._background.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._client = Client(self.url)

    def close(self) -> None:
        """End the server and the service under test."""
        try:
            self._end_service()
            if self._client is not None:
                self._client.close()
            self._background.stop()
        finally:
            self._standins.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _serve(self, started: Callable[[], None], stop: Any) -> None:
        async def use(where: server.RunningServer, engine: Engine) -> None:
            self.url, self._engine = where.url, engine
            started()
            await stop.wait()

        plan = server.ServerConfig(self._settings, self._load, self._paths, self._report, wrap=self._standins.wrap)
        await server.serve(plan, use)

    def _load(self) -> Catalog:
        target, named = loader.split_targets(self._settings.target)
        return loader.load(self._paths, namespace=self._settings.namespace, target=target, targets=named)

    def _report(self, event: events.Event) -> None:
        if isinstance(event, events.Warned):
            self._warnings.append(event.message)

    def _tell(self, error: BaseException) -> None:
        text = tracebacks.format_exception(error)
        if text not in self._standins.exceptions:
            self._standins.exceptions.append(text)

    @property
    def client(self) -> Client:
        """Return the client of the control API, for what has no method here."""
        if self._client is None:
            raise ClientError("this queue was not started", "Use it in a with statement, or call start().")
        return self._client

    def reset(self) -> None:
        """Restore the state after the start, and forget stand-ins and the service under test."""
        self.client.post("/reset")
        self._end_service()
        self._standins.clear(self._has_target)
        self._warnings.clear()

    # the service under test

    def serve(self, app: Any, namespace: str | None = None) -> str:
        """Run the service under test, an ASGI or WSGI app, or name its URL; return the URL."""
        self._end_service()
        if isinstance(app, str):
            url = app
        else:
            logging.getLogger().addHandler(self._log)
            self._service = start_app(app, self._tell)
            url = self._service.url
        self.client.change_target(namespace or self.namespace, url)
        self._standins.has_service = True
        return url

    @property
    def target(self) -> str:
        """Return where the service of the (first) namespace listens."""
        return str(self._engine.catalog.targets[self.namespace])

    @target.setter
    def target(self, url: str) -> None:
        self.serve(url)

    def worker(self, queue: str, namespace: str | None = None) -> StubWorker:
        """Return the stand-in for the service on a queue; it wins over `serve`. Raises ClientError."""
        key = (namespace or self._namespace_of(queue), queue)
        if key not in self._engine.catalog.queues:
            known = nearest(queue, [name for _, name in self._engine.catalog.queues])
            raise ClientError(f"unknown queue {queue!r}; known: {', '.join(known) or 'none'}")
        return self._standins.get(key)

    def _end_service(self) -> None:
        service, self._service = self._service, None
        logging.getLogger().removeHandler(self._log)
        if service is not None:
            service.stop()

    # jobs

    @property
    def namespace(self) -> str:
        """Return the namespace of the (first) service in the catalog."""
        return next(iter(self._engine.catalog.targets), "")

    def _namespace_of(self, queue: str) -> str:
        found = [namespace for namespace, name in self._engine.catalog.queues if name == queue]
        if len(found) > 1:
            raise ClientError(f"several namespaces have a queue {queue!r}: {', '.join(found)}", "Give namespace=...")
        return found[0] if found else self.namespace

    def enqueue(self, queue: str, data: Any = None, namespace: str | None = None) -> Job:
        """Enqueue a job as a service would; return it. Raises ClientError."""
        return self.job(self.client.enqueue(namespace or self._namespace_of(queue), queue, json.dumps(data)))

    def job(self, id: str) -> Job:
        """Return a job as it is now, with its data and its attempts. Raises ClientError."""
        return results.job(self.client.get(f"/jobs/{id}"))

    def jobs(self, queue: str | None = None, state: str | None = None, namespace: str | None = None) -> list[Job]:
        """Return every job that fits, oldest first, without data and attempts."""
        found = self.client.jobs(queue=queue, state=state, namespace=namespace)
        return [results.job(each) for each in found][::-1]

    def retry(self, job: Job | str) -> None:
        """Start a new round of a failed or cancelled job."""
        self.client.post(f"/jobs/{_id(job)}/retry")

    def cancel(self, job: Job | str) -> None:
        """Cancel a job."""
        self.client.post(f"/jobs/{_id(job)}/cancel")

    def configure(self, queue: str, namespace: str | None = None, **settings: int) -> None:
        """Change settings of a queue, under the catalog's names, for this test. Raises ClientError."""
        self.client.change_queue(namespace or self._namespace_of(queue), queue, settings)

    # time

    @property
    def now(self) -> datetime:
        """Return what time it is on the queue's clock."""
        return datetime.fromisoformat(self.client.get("/clock")["now"])

    def advance(
        self,
        by: Duration | None = None,
        *,
        to: str | datetime | None = None,
        settle: Duration = "0ms",
        **parts: float,
    ) -> list[MadeAttempt]:
        """Move time by `"5s"`, `seconds=5` or a timedelta, or `to` a time or `"next"`; return the attempts made.

        `settle` waits for that much real time without a new job.
        """
        if (by is not None) + (to is not None) + bool(parts) != 1:
            raise TypeError('expected one of advance("5s"), advance(seconds=5), advance(to="next")')
        move: dict[str, Any] = {"to": _time(to)} if to is not None else {"ms": _ms(by or timedelta(**parts))}
        found = self.client.post("/clock/advance", {**move, "settleMs": _ms(settle)}, patience_s=None)
        return [results.made(each) for each in found["attempts"]]

    def drain(self, timeout: Duration = "30s", settle: Duration = "0ms") -> list[MadeAttempt]:
        """Go on until nothing is queued, running or retrying; return the attempts made.

        Raises AssertionError if that takes longer than `timeout`, in real time.
        """
        __tracebackhide__ = True
        found = self.client.drain(_ms(timeout), _ms(settle))
        if not found["idle"]:
            left = [job for job in self.jobs() if job.state in ("queued", "running", "retrying") and not job.held]
            raise AssertionError(f"not idle after {timeout}; left:\n{_listed(left)}")
        return [results.made(each) for each in found["attempts"]]

    def wait_for(self, jobs: int, queue: str | None = None, timeout: Duration = "5s") -> None:
        """Wait, in real time, until so many jobs were enqueued since the reset. Raises AssertionError."""
        __tracebackhide__ = True
        if not clock.wait_until(lambda: self._enqueued(queue) >= jobs, _ms(timeout) / 1000):
            where = f" on {queue}" if queue else ""
            raise AssertionError(f"expected {jobs} jobs{where} within {timeout}, got {self._enqueued(queue)}")

    def _enqueued(self, queue: str | None) -> int:
        found = self.client.get("/queues")["queues"]
        return sum(int(each["enqueued"]) for each in found if queue in (None, each["name"]))

    def ledger(self) -> str:
        """Return one line per attempt, in order, with times since the start."""
        return self.client.text("/ledger")

    # assertions

    def assert_enqueued(self, queue: str, data: Any = ANY, count: int | None = None) -> list[Job]:
        """Check that jobs were enqueued, with this data, so many of them; return them. Raises AssertionError."""
        __tracebackhide__ = True
        found = self._matching(queue, data)
        if len(found) == count or (count is None and found):
            return found
        expected = "a job" if count is None else f"{count} job{'s' * (count != 1)}"
        raise AssertionError(f"expected {expected} {_wanted(queue, data)}, got {len(found)}; {self._there()}")

    def refute_enqueued(self, queue: str, data: Any = ANY) -> None:
        """Check that no job was enqueued there, with this data. Raises AssertionError."""
        __tracebackhide__ = True
        if found := self._matching(queue, data):
            raise AssertionError(f"expected no job {_wanted(queue, data)}, got {len(found)}:\n{_listed(found)}")

    def _matching(self, queue: str, data: Any) -> list[Job]:
        return [job for job in self._whole(self.jobs(queue=queue)) if data is ANY or job.data == data]

    def _whole(self, found: Sequence[Job]) -> Iterator[Job]:
        return (self.job(each.id) for each in found)

    def _there(self) -> str:
        found = list(self._whole(self.jobs()))
        return f"what was enqueued:\n{_listed(found)}" if found else "nothing was enqueued"

    def problem(self) -> str | None:
        """Return which deliveries had no reply, neither from the service nor from a stand-in, or None."""
        return self._standins.report() if self._standins.unexpected else None

    def notes(self) -> list[tuple[str, str]]:
        """Return what helps to understand a failure, as (title, text)."""
        found = [
            ("exceptions in handlers", "\n".join(self._standins.exceptions)),
            ("deliveries without a reply", self.problem() or ""),
            ("warnings", "\n".join(self._warnings)),
            ("ledger", self.ledger()),
        ]
        return [(title, text) for title, text in found if text]


def _catalog_paths(given: Any, folder: Path) -> list[Path]:
    if given is None:
        found = loader.discover(Path.cwd())
        if not found:
            raise ClientError("no catalog-info.yaml found here", "Give catalog=..., a path or the catalog as a dict.")
        return found
    sources = given if isinstance(given, list | tuple) else [given]
    return [_catalog_path(source, folder / f"catalog-{number}.yaml") for number, source in enumerate(sources)]


def _catalog_path(source: CatalogSource, path: Path) -> Path:
    if not isinstance(source, Mapping):
        return Path(source)
    path.write_text(json.dumps({"apiVersion": "backstage.io/v1alpha1", "kind": "Component", **source}))
    return path


def _settings(target: str | None, options: Mapping[str, Any]) -> Settings:
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in options:
        if name not in known:
            raise ClientError(f"unknown option {name!r}; known: {', '.join(nearest(name, known))}")
    given = _DEFAULTS | dict(options) | ({"target": target} if target is not None else {})
    if "db" in given:
        given = {"ephemeral": False} | {name: value for name, value in given.items() if name != "ephemeral"}
        given["db"] = Path(given["db"])
    for name in ("target", "allow_host"):
        if isinstance(given.get(name), str):
            given[name] = (given[name],)
    settings = Settings(**given)
    if problem := settings.problem():
        raise ClientError(problem)
    return settings


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _ms(given: Duration) -> int:
    return given // timedelta(milliseconds=1) if isinstance(given, timedelta) else parse_duration(given)


def _time(given: str | datetime) -> str:
    if isinstance(given, str):
        return given
    if given.tzinfo is None:
        raise TypeError("expected an aware datetime, got a naive one")
    return iso(round(given.timestamp() * 1000))


def _wanted(queue: str, data: Any) -> str:
    return f"on {queue}" + ("" if data is ANY else f" with data {json.dumps(data)}")


def _listed(jobs: Sequence[Job]) -> str:
    return "\n".join(f"  {results.shown(job)}" for job in jobs)
