"""Goal 8: with handlers that take 10 ms, 5 slots are kept busy."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import figures, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result

JOBS = 2000
HANDLER_MS = 10


def run(bench: Bench) -> Iterator[Result]:
    """Measure against what 5 slots could do if a handler took just the time that the worker saw it take."""
    subject = subjects.localqueue()
    found = [
        runs.drain(subject, bench.scratch, bench.jobs(JOBS), delay_ms=HANDLER_MS, warm_up=100)
        for _ in range(bench.repetitions)
    ]
    ours = figures.series("localqueue", "jobs/s", (each.through_per_s for each in found))
    ideal = figures.series("ideal", "jobs/s", (subjects.CONCURRENCY / each.handler_s for each in found))
    yield figures.ratio("8.1", f"{HANDLER_MS} ms handlers against the ideal rate", ours, ideal, at_least=0.9)
