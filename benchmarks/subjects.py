"""Start a system under test: a queue that takes jobs over HTTP and posts them to the worker."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import jobs, processes, rows

CONCURRENCY = 5


@dataclass(frozen=True)
class Setup:
    """The options of a system, the same for all systems."""

    folder: Path
    targets: Sequence[str]
    queues: Sequence[str] = ("work",)
    concurrency: int = CONCURRENCY
    retries: int = 3
    retry_delay_ms: int = 5000

    @property
    def target(self) -> str:
        """Return the one base URL of a system with one service."""
        return self.targets[0]


@dataclass(frozen=True)
class Running:
    """A running system that accepts jobs; `language` is the format of its requests."""

    url: str
    pids: Sequence[int]
    start_s: float
    language: str = "platform"
    get: Callable[[str], Any] = field(default=lambda _: None)

    def cpu_s(self) -> float:
        """Return the CPU time of all its processes so far, in s."""
        return sum(map(processes.cpu_s, self.pids))


@dataclass(frozen=True)
class Subject:
    """A system and the function that starts it."""

    name: str
    start: Callable[[Setup], AbstractContextManager[Running]]


def localqueue(
    *options: str,
    made: Path | None = None,
    db: Path | None = None,
    is_paused: bool = False,
    open_files: int | None = None,
) -> Subject:
    """Return localqueue under default settings (`--quiet`), but for the options given.

    It works on a copy of the database `made`, on `db` itself, or on a new one, its queue paused or not, under a soft
    limit of open files.
    """

    @contextlib.contextmanager
    def start(setup: Setup) -> Iterator[Running]:
        command = [sys.executable, "-m", "localqueue", "up", "--quiet", "--log", "json", "--port", "0"]
        command += [*_catalogs(setup), *options]
        used = db if made is None else rows.copy(made, setup.folder)
        if used is not None:
            command += ["--db", str(used)]
        if used is not None and is_paused:
            rows.pause(used)
        child = processes.Child(command if open_files is None else limited(open_files, command), setup.folder)
        try:
            ready = child.line()
            start_s = time.monotonic() - child.started
            yield Running(
                ready["url"].replace("localhost", "127.0.0.1"), [child.pid], start_s, get=_getter(ready["url"])
            )
        except BaseException:
            child.end(signal.SIGKILL)
            raise
        if code := child.end(signal.SIGINT):
            raise processes.BenchmarkError(f"localqueue ended with {code}")

    return Subject("localqueue", start)


def _getter(url: str) -> Callable[[str], Any]:
    return lambda path: processes.get(f"{url}/_localqueue{path}")


def limited(open_files: int, command: Sequence[str]) -> list[str]:
    """Return a command that runs another under a soft limit of open files."""
    return ["sh", "-c", f'ulimit -S -n {open_files} && exec "$@"', "sh", *command]


def _catalogs(setup: Setup) -> Iterator[str]:
    """Write the catalog of each service, and yield the options; JSON is YAML, too."""
    services: dict[str, list[str]] = {}
    for queue in setup.queues:
        services.setdefault(jobs.key(queue)[0], []).append(queue)
    for (namespace, queues), target in zip(services.items(), itertools.cycle(setup.targets)):
        path = setup.folder / f"{namespace}.yaml"
        path.write_text(json.dumps(_catalog(setup, namespace, queues)))
        yield from ("--catalog", str(path), "--target", f"{namespace}={target}")


def _catalog(setup: Setup, namespace: str, names: Sequence[str]) -> Any:
    common = {
        "concurrency": setup.concurrency,
        "retries": setup.retries,
        "retryDelayMs": setup.retry_delay_ms,
    }
    queues = [{"name": jobs.key(name)[1], "endpoint": f"/{name}", **common} for name in names]
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": namespace},
        "spec": {"queues": queues},
    }
