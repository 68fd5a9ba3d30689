"""Goal 10: payloads of 900 KiB are taken at the pace of SQLite, and do not pile up in memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import figures, jobs, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result
from benchmarks.runs import Passed

JOBS = 200
PADDING = 900 * 1024
CONNECTIONS = 10
TIMES = 4
"""How many times as many jobs must not need much more memory."""


def run(bench: Bench) -> Iterator[Result]:
    """Measure localqueue and plain inserts of the same bytes in turn, then a longer run for its memory."""
    count = bench.jobs(JOBS)
    variants: dict[str, Callable[[], Passed]] = {
        "localqueue": lambda: large(bench.scratch, count),
        "plain sqlite3": lambda: inserts(bench.scratch, count),
        "longer": lambda: large(bench.scratch, TIMES * count),
    }
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"payloads {what}"))
    ours, plain = (
        figures.series(name, "jobs/s", (each.accepted_per_s for each in found[name]))
        for name in ("localqueue", "plain sqlite3")
    )
    yield figures.ratio("10.1", "enqueue of 900 KiB against plain inserts", ours, plain, at_least=0.6)
    short, long = (
        figures.series(f"{number} jobs", "MB", (each.peak_mb for each in found[name]))
        for name, number in (("localqueue", count), ("longer", TIMES * count))
    )
    yield figures.ratio("10.2", f"peak memory with {TIMES} times as many jobs", long, short, at_most=1.2)


def large(scratch: Path, count: int) -> Passed:
    """Pass large payloads through."""
    subject = subjects.localqueue()
    return runs.drain(subject, scratch, count, padding=PADDING, connections=CONNECTIONS, warm_up=CONNECTIONS)


def inserts(scratch: Path, count: int) -> Passed:
    """Insert the same bytes, each in a transaction of its own with synchronous=FULL."""
    with runs.folder(scratch) as place:
        connection = sqlite3.connect(place / "plain.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE payloads (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        data = jobs.data(0, PADDING)
        begin = time.monotonic()
        for _ in range(count):
            connection.execute("INSERT INTO payloads (data) VALUES (?)", (data,))
        rate = count / (time.monotonic() - begin)
        connection.close()
        return Passed(rate, rate, 0.0, 0.0)
