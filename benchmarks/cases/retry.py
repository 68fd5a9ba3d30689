"""Goal 5: a retry after 1 s is never early, and hardly late."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks import figures, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result
from benchmarks.processes import BenchmarkError

JOBS = 300
RATE = 50
DELAY_MS = 1000


def run(bench: Bench) -> Iterator[Result]:
    """Measure how long after its time the second attempt arrives; BullMQ's beside it."""
    peer = bench.peer("bullmq")
    systems = [subjects.localqueue(), *([peer] if peer else [])]
    variants = {subject.name: functools.partial(lateness, subject, bench) for subject in systems}
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"retry {what}"))
    for name, late in found.items():
        yield from _lines(name, late)


def _lines(name: str, late: list[list[float]]) -> Iterator[Result]:
    """Yield the earliest, the middle and the 99th of a hundred; goals are for localqueue alone."""
    rows = [
        ("5.1", "5.4", 0, {"at_least": 0.0}),
        ("5.2", "5.5", 50, {"at_most": 5.0}),
        ("5.3", "5.6", 99, {"at_most": 10.0}),
    ]
    for ours, theirs, percent, limit in rows:
        found = figures.series(name, "ms", (figures.percentile(each, percent) for each in late))
        what = f"1 s retry, late by, {f'p{percent}' if percent else 'the earliest'}"
        if name == "localqueue":
            yield figures.absolute(ours, what, found, **limit)
        else:
            yield figures.absolute(theirs, what, found)


def lateness(subject: subjects.Subject, bench: Bench) -> list[float]:
    """Return by how much each second attempt came after the end of the first and the delay, in ms."""
    count = bench.jobs(JOBS)
    with runs.session(subject, bench.scratch, failures=1, retry_delay_ms=DELAY_MS) as run:
        run.load(count, rate=RATE, connections=RATE)
        run.check(2 * count)
        rows = run.service.rows()
    ends = {job: answered for job, attempt, _, answered in rows if attempt == 1}
    found = [(arrived - ends[job]) * 1000 - DELAY_MS for job, attempt, arrived, _ in rows if attempt == 2]
    if len(found) != count:
        raise BenchmarkError(f"expected {count} second attempts, got {len(found)}")
    return found
