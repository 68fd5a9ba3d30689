"""Goal 6, size: a million queued jobs cost disk, but neither memory nor start-up, and pages come at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import figures, processes, rows, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result, Series
from benchmarks.subjects import Subject

MANY = 1_000_000
STARTS = 3
"""Starts of each kind in one repetition; the fastest counts, what disturbs only adds."""
BUSY_MS = 600_000
PAGES = (
    "/queues",
    "/jobs",
    f"/jobs?queue={rows.QUEUE}",
    f"/jobs?queue={rows.QUEUE}&state=failed",
    f"/jobs?queue={rows.QUEUE}&state=queued",
    "/jobs?state=retrying",
    "/jobs?id=beef",
    "/jobs?q=CLM-0000042",
    "/failures",
)


@dataclass(frozen=True)
class Started:
    """A start: seconds to the line `ready` and to the first page of all, and the memory after it."""

    start_s: float
    page_s: float
    memory_mb: float


def run(bench: Bench) -> Iterator[Result]:
    """Measure an empty file and a full one in turn."""
    many = bench.jobs(MANY)
    empty_file = subjects.localqueue("--grace", "0")
    full_file = subjects.localqueue("--grace", "0", made=rows.database_with(bench.scratch, queued=many))
    variants = {
        "empty file": functools.partial(started, empty_file, bench.scratch),
        f"{many:,} queued": functools.partial(started, full_file, bench.scratch),
    }
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"million {what}"))

    def each(unit: str, get: Callable[[Started], float]) -> tuple[Series, Series]:
        empty, full = (figures.series(name, unit, map(get, values)) for name, values in found.items())
        return empty, full

    empty, full = each("MB", lambda one: one.memory_mb)
    yield figures.absolute("6.4", "memory, idle", empty, at_most=50.0)
    yield figures.ratio("6.5", "memory with jobs queued against idle", full, empty, at_most=1.1)
    empty, full = each("s", lambda one: one.start_s)
    yield figures.absolute("6.6", "start to ready", empty, at_most=0.35)
    yield figures.ratio("6.7", "start with jobs queued against an empty file", full, empty, at_most=1.5)
    yield figures.absolute(
        "6.8", "slowest first page of the dashboard", each("s", lambda one: one.page_s)[1], at_most=1.0
    )


def started(subject: Subject, scratch: Path) -> Started:
    """Start a few times and look, the slots being held by handlers that do not answer."""
    found = [_start(subject, scratch) for _ in range(STARTS)]
    return Started(
        min(each.start_s for each in found), max(each.page_s for each in found), max(each.memory_mb for each in found)
    )


def _start(subject: Subject, scratch: Path) -> Started:
    with runs.session(subject, scratch, [rows.QUEUE], delay_ms=BUSY_MS) as run:
        begin = time.monotonic()
        pages = [_seconds(run.system, page, begin) for page in PAGES]
        return Started(run.system.start_s, max(pages), processes.memory_mb(run.system.pids[0], peak=True))


def _seconds(system: subjects.Running, page: str, begin: float) -> float:
    """Return how long a page took; the first one counts from `ready` on."""
    begin = begin if page == PAGES[0] else time.monotonic()
    system.get(page)
    return time.monotonic() - begin
