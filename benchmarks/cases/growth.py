"""Goal 11, growth: ten million finished jobs and a million queued ones slow nothing down.

Not part of a run without `--only growth`: it makes a file of 6 GB, and copies it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import figures, jobs, processes, rows, runs, subjects
from benchmarks.bench import Bench
from benchmarks.cases import flat, million
from benchmarks.figures import Result
from benchmarks.subjects import Subject

FINISHED = 10_000_000
QUEUED = 1_000_000
JOBS = 5000
KEEP_ALL = ("--keep", str(2 * FINISHED), "--grace", "0")
WRITES = 100


@dataclass(frozen=True)
class Begun:
    """How long a start with nothing of the file in memory took, and the stop after it, in s."""

    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Pruned:
    """How long the slowest of some enqueues took, in ms, and how many jobs each of them pruned."""

    slowest_ms: float
    jobs: float


def run(bench: Bench) -> Iterator[Result]:
    """Measure an empty file and a full one in turn; prune the full one at the end."""
    made = rows.database_with(bench.scratch, finished=bench.jobs(FINISHED), queued=bench.jobs(QUEUED))
    with runs.folder(bench.scratch) as place:
        db = rows.copy(made, place)
        size = figures.series("full file", "MB", [db.stat().st_size / 1e6])
        yield figures.absolute("11.1", "size of the file", size)
        yield from _bursts(bench, db)  # before the file is removed from memory
        yield from _starts(bench, db)
        yield from _pruning(bench, db)


def _bursts(bench: Bench, db: Path) -> Iterator[Result]:
    subject = {
        "empty file": subjects.localqueue(*KEEP_ALL),
        "full file": subjects.localqueue(*KEEP_ALL, db=db, is_paused=True),
    }
    variants = {
        name: functools.partial(flat.burst, each, bench.scratch, bench.jobs(JOBS)) for name, each in subject.items()
    }
    found = figures.by_turns(variants, bench.repetitions, functools.partial(_tell, bench, "burst"))
    empty, full = (figures.series(name, "jobs/s", values) for name, values in found.items())
    yield figures.ratio("11.2", "drain with a full file against an empty one", full, empty, at_least=0.9)


def _starts(bench: Bench, db: Path) -> Iterator[Result]:
    empty_file, full_file = subjects.localqueue(*KEEP_ALL), subjects.localqueue(*KEEP_ALL, db=db)
    tell = functools.partial(_tell, bench, "start")
    begun = figures.by_turns({"cold": functools.partial(_cold, full_file, bench.scratch, db)}, bench.repetitions, tell)
    variants = {
        "empty file": functools.partial(million.started, empty_file, bench.scratch),
        "full file": functools.partial(million.started, full_file, bench.scratch),
    }
    found = figures.by_turns(variants, bench.repetitions, tell)
    empty, full = (figures.series(name, "s", (one.start_s for one in each)) for name, each in found.items())
    yield figures.ratio("11.3", "start with a full file against an empty one", full, empty, at_most=1.5)
    cold = figures.series("cold", "s", (one.start_s for one in begun["cold"]))
    yield figures.ratio("11.4", "start with nothing of the file in memory", cold, empty, at_most=1.5)
    stops = figures.series("full file", "s", (one.stop_s for one in begun["cold"]))
    yield figures.absolute("11.5", "stop", stops, at_most=1.0)
    memory = figures.series("full file", "MB", (one.memory_mb for one in found["full file"]))
    yield figures.absolute("11.6", "memory after the first pages", memory, at_most=50.0)
    pages = figures.series("full file", "s", (one.page_s for one in found["full file"]))
    yield figures.absolute("11.7", "slowest first page of the dashboard", pages, at_most=1.0)


def _pruning(bench: Bench, db: Path) -> Iterator[Result]:
    subject = subjects.localqueue("--grace", "0", db=db, is_paused=True)
    variants = {"full file, default --keep": functools.partial(_prune, subject, bench.scratch)}
    found = figures.by_turns(variants, bench.repetitions, functools.partial(_tell, bench, "prune"))
    [(name, each)] = found.items()
    slowest = figures.series(name, "ms", (one.slowest_ms for one in each))
    yield figures.absolute("11.8", "slowest of 100 enqueues while the file is pruned", slowest, at_most=1000)
    yield figures.absolute("11.9", "pruned by each write", figures.series(name, "jobs", (one.jobs for one in each)))


def _tell(bench: Bench, what: str, text: str) -> None:
    bench.tell(f"growth, {what} {text}")


def _cold(subject: Subject, scratch: Path, db: Path) -> Begun:
    rows.make_cold(db)
    with runs.folder(scratch) as place, runs.worker(place, delay_ms=million.BUSY_MS) as service:
        with subject.start(subjects.Setup(place, service.urls, [rows.QUEUE])) as system:
            start_s = system.start_s
            begin = time.monotonic()
        return Begun(start_s, time.monotonic() - begin)


def _prune(subject: Subject, scratch: Path) -> Pruned:
    with runs.session(subject, scratch, [rows.QUEUE]) as run:
        before, slowest_s = _finished(run), 0.0
        for n in range(WRITES):
            path, body = jobs.platform(n, rows.QUEUE, 0)
            begin = time.monotonic()
            processes.post(f"{run.system.url}{path}", body)
            slowest_s = max(slowest_s, time.monotonic() - begin)
        return Pruned(slowest_s * 1000, (before - _finished(run)) / WRITES)


def _finished(run: runs.Session) -> int:
    counts = run.system.get("/queues")["queues"][0]["counts"]
    return int(counts["completed"] + counts["failed"])
