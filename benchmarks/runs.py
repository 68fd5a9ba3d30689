"""One run with a new worker and a new system: check that nothing was lost, doubled or over its limit."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import jobs, processes, subjects
from benchmarks.processes import BenchmarkError

CONNECTIONS = 50
WARM_UP = 500
"""Jobs before the measurement starts, so that no peer is measured with a cold JIT compiler."""


@dataclass(frozen=True)
class Passed:
    """The result of a load: jobs per second accepted, and until the worker's last response; CPU time per job, in us."""

    accepted_per_s: float
    through_per_s: float
    handler_s: float
    peak_mb: float
    cpu_us: float = 0.0


@contextlib.contextmanager
def folder(scratch: Path) -> Iterator[Path]:
    """Yield a folder for one run on the measured disk."""
    path = Path(tempfile.mkdtemp(prefix="run-", dir=scratch))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Worker:
    """The worker of a run."""

    def __init__(self, child: processes.Child) -> None:
        self.urls = [f"http://127.0.0.1:{port}" for port in child.line()["ports"]]
        self.url = self.urls[0]

    def wait(self, deliveries: int) -> dict[str, Any]:
        """Return the worker's summary once it has responded to so many deliveries."""
        found: dict[str, Any] = processes.get(f"{self.url}/_worker/wait/{deliveries}")
        return found

    def rows(self) -> list[tuple[int, int, float, float]]:
        """Return (job, attempt, arrived, answered) of each delivery, in the order of the responses."""
        return [(job, attempt, arrived, answered) for job, attempt, arrived, answered in self._get_rows()]

    def _get_rows(self) -> Any:
        return processes.get(f"{self.url}/_worker/rows")


@contextlib.contextmanager
def worker(place: Path, *, delay_ms: float = 0, failures: int = 0, ports: int = 1) -> Iterator[Worker]:
    """Run a worker that takes `delay_ms` per delivery and fails the first attempts of each job."""
    command = processes.module("worker", delay_ms=delay_ms, failures=failures, ports=ports)
    with processes.running(command, place) as child:
        yield Worker(child)


@dataclass(frozen=True)
class Session:
    """A system under test with its worker and its own folder."""

    system: subjects.Running
    service: Worker
    place: Path
    queues: Sequence[str]

    def load(self, count: int, **more: Any) -> dict[str, Any]:
        """Enqueue jobs to the queues by turns; return when, once all were accepted."""
        return load(self.system, self.place, self.queues, count, target=self.service.url, **more)

    def warm_up(self, count: int = WARM_UP, **more: Any) -> None:
        """Pass some jobs through before anything is measured."""
        self.load(count, **more)
        self.service.wait(count)

    def check(self, deliveries: int) -> dict[str, Any]:
        """Return the worker's summary after so many deliveries. Raises BenchmarkError if it is not in order."""
        found = self.service.wait(deliveries)
        check(found, deliveries, subjects.CONCURRENCY)
        return found

    def check_all(self) -> None:
        """Raise BenchmarkError if what was delivered so far is not in order."""
        found = self.service.wait(0)
        check(found, found["delivered"], subjects.CONCURRENCY)


@contextlib.contextmanager
def session(
    subject: subjects.Subject,
    scratch: Path,
    queues: Sequence[str] = ("work",),
    *,
    delay_ms: float = 0,
    failures: int = 0,
    retry_delay_ms: int = 5000,
) -> Iterator[Session]:
    """Run a worker, which listens on one port per service, and a system that posts to it."""
    ports = len({jobs.key(queue)[0] for queue in queues})
    with folder(scratch) as place, worker(place, delay_ms=delay_ms, failures=failures, ports=ports) as service:
        setup = subjects.Setup(place, service.urls, queues, retry_delay_ms=retry_delay_ms)
        with subject.start(setup) as system:
            yield Session(system, service, place, queues)


def load(system: subjects.Running, place: Path, queues: Sequence[str], count: int, **more: Any) -> dict[str, Any]:
    """Enqueue jobs; return when, once all were accepted. Raises BenchmarkError if one was not."""
    told = {"url": system.url, "language": system.language, "queues": list(queues), "count": count, **more}
    return accepted(processes.Child(processes.module("loader", **told), place), count)


def accepted(child: processes.Child, count: int) -> dict[str, Any]:
    """Return the result of a loop. Raises BenchmarkError if a request failed."""
    found = child.finish()
    good = sum(number for status, number in found["statuses"].items() if status.startswith("2"))
    if good != count:
        raise BenchmarkError(f"expected {count} jobs to be accepted, got {found['statuses']}")
    return found


def check(found: dict[str, Any], deliveries: int, concurrency: int) -> None:
    """Raise BenchmarkError if a job was lost or doubled, or a queue exceeded its concurrency."""
    if found["delivered"] != deliveries or found["distinct"] != deliveries:
        raise BenchmarkError(
            f"expected {deliveries} deliveries, got {found['delivered']} ({found['distinct']} different ones)"
        )
    over = {path: most for path, most in found["most"].items() if most > concurrency}
    if over:
        raise BenchmarkError(f"more than {concurrency} attempts of a queue were running: {over}")


def drain(
    subject: subjects.Subject,
    scratch: Path,
    count: int,
    *,
    queues: Sequence[str] = ("work",),
    delay_ms: float = 0,
    padding: int = 0,
    connections: int = CONNECTIONS,
    warm_up: int = WARM_UP,
) -> Passed:
    """Pass a burst of jobs through a system."""
    shared = {"connections": connections, "padding": padding}
    with session(subject, scratch, queues, delay_ms=delay_ms) as run:
        run.warm_up(warm_up, **shared)
        used_s = run.system.cpu_s()
        found = run.load(count, first=warm_up, **shared)
        end = run.check(warm_up + count)
        cpu_us = (run.system.cpu_s() - used_s) / count * 1e6
        accepted_s, through_s = found["last"] - found["first"], end["last"] - found["first"]
        peak = sum(processes.memory_mb(pid, peak=True) for pid in run.system.pids)
    return Passed(count / accepted_s, count / through_s, end["handler_s"], peak, cpu_us)


def loop(name: str, scratch: Path, count: int, connections: int = subjects.CONCURRENCY) -> Passed:
    """Post jobs straight to the worker: by `loader`, on bare protocols, or by `httpx_loop`."""
    with folder(scratch) as place, worker(place) as service:
        told = {"url": service.url, "language": "delivery", "queues": ["work"], "connections": connections}
        for first, number in ((0, WARM_UP), (WARM_UP, count)):
            command = processes.module(name, first=first, count=number, **told)
            found = accepted(processes.Child(command, place), number)
        end = service.wait(WARM_UP + count)
        check(end, WARM_UP + count, connections)
        rate = count / (found["last"] - found["first"])
        return Passed(rate, rate, end["handler_s"], 0.0)


def constant(scratch: Path, count: int, connections: int = CONNECTIONS) -> Passed:
    """Load the app with a constant response."""
    with folder(scratch) as place, processes.running(processes.module("constant"), place) as child:
        system = subjects.Running(child.line()["url"], [child.pid], 0.0)
        return _enqueued(system, place, count, connections)


def enqueue(subject: subjects.Subject, scratch: Path, count: int, connections: int = CONNECTIONS) -> Passed:
    """Load localqueue while its queue is paused: nothing is delivered."""
    with session(subject, scratch) as run:
        processes.post(f"{run.system.url}/_localqueue/queues/{jobs.NAMESPACE}/work/pause")
        return _enqueued(run.system, run.place, count, connections)


def _enqueued(system: subjects.Running, place: Path, count: int, connections: int) -> Passed:
    load(system, place, ["work"], WARM_UP, connections=connections)
    used_s = system.cpu_s()
    found = load(system, place, ["work"], count, first=WARM_UP, connections=connections)
    cpu_us = (system.cpu_s() - used_s) / count * 1e6
    return Passed(count / (found["last"] - found["first"]), 0.0, 0.0, 0.0, cpu_us)
