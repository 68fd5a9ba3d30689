"""Goal 12, breadth: 200 queues and 100 services cost a start and a burst little, and nothing while they are idle.

The worker listens on a port for each service. CPU time is compared, which depends less on what else runs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import figures, processes, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result

JOBS = 5000
STARTS = 3
IDLE_S = 10.0
ONE = ("work",)
QUEUES = [f"work-{n}" for n in range(200)]
SERVICES = [f"service-{n}/work-{m}" for n in range(100) for m in range(2)]
PAGES = ("/queues", "/status", "/jobs", "/jobs?state=failed", "/failures")


@dataclass(frozen=True)
class Started:
    """A start: CPU time to `ready` and the slowest first page, in s, and the share of a core when idle."""

    cpu_s: float
    page_s: float
    idle: float


def run(bench: Bench) -> Iterator[Result]:
    """Measure one queue, 200 queues and 100 services in turn."""
    kinds = {"1 queue": ONE, "200 queues": QUEUES, "100 services": SERVICES}
    count, subject = bench.jobs(JOBS), subjects.localqueue()
    bursts = {name: functools.partial(_cpu_us, subject, bench.scratch, count, names) for name, names in kinds.items()}
    found = figures.by_turns(bursts, bench.repetitions, lambda what: bench.tell(f"services {what}"))
    one, queues, services = (figures.series(name, "us", values) for name, values in found.items())
    yield figures.ratio("12.1", "CPU time per job, 200 queues against one", queues, one, at_most=1.2)
    yield figures.ratio("12.2", "CPU time per job, 100 services against one", services, one, at_most=1.2)
    starts = {name: functools.partial(_start, bench.scratch, names) for name, names in kinds.items()}
    started = figures.by_turns(starts, bench.repetitions, lambda what: bench.tell(f"services, start {what}"))
    one, queues, services = (
        figures.series(name, "s", (start.cpu_s for start in each)) for name, each in started.items()
    )
    yield figures.ratio("12.3", "CPU time of the start, 200 queues against one", queues, one, at_most=1.5)
    yield figures.ratio("12.4", "CPU time of the start, 100 services against one", services, one, at_most=1.5)
    wide = started["100 services"]
    idle = figures.series("100 services", "%", (each.idle * 100 for each in wide))
    yield figures.absolute("12.5", "idle, share of a core", idle, at_most=1.0)
    pages = figures.series("100 services", "s", (each.page_s for each in wide))
    yield figures.absolute("12.6", "slowest first page of the dashboard", pages, at_most=1.0)


def _cpu_us(subject: subjects.Subject, scratch: Path, count: int, names: Sequence[str]) -> float:
    return runs.drain(subject, scratch, count, queues=names).cpu_us


def _start(scratch: Path, names: Sequence[str]) -> Started:
    found_s = [_start_cpu_s(scratch, names) for _ in range(STARTS - 1)]
    with runs.session(subjects.localqueue(), scratch, names) as run:
        found_s.append(run.system.cpu_s())
        pages = [_page_s(run.system, page) for page in PAGES]
        processes.wait_idle(run.system.pids[0])
        before = run.system.cpu_s()
        time.sleep(IDLE_S)
        idle = (run.system.cpu_s() - before) / IDLE_S
        return Started(min(found_s), max(pages), idle)


def _start_cpu_s(scratch: Path, names: Sequence[str]) -> float:
    with runs.session(subjects.localqueue(), scratch, names) as run:
        return run.system.cpu_s()


def _page_s(system: subjects.Running, page: str) -> float:
    begin = time.monotonic()
    system.get(page)
    return time.monotonic() - begin
