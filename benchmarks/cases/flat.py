"""Goal 6, speed: a million rows, finished or queued, and pruning hardly slow a burst down."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from benchmarks import figures, jobs, processes, rows, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result, Series
from benchmarks.processes import BenchmarkError
from benchmarks.subjects import Subject

JOBS = 5000
BURST = 20_000
MANY = 1_000_000


def run(bench: Bench) -> Iterator[Result]:
    """Measure an empty file and full ones in turn, then bursts with and without pruning."""
    count, many = bench.jobs(JOBS), bench.jobs(MANY)
    keep = ("--keep", str(many))  # a full file stays full: each job that ends prunes one
    subject = subjects.localqueue(*keep)
    finished = subjects.localqueue(*keep, made=rows.database_with(bench.scratch, finished=many))
    queued = subjects.localqueue(*keep, made=rows.database_with(bench.scratch, queued=many), is_paused=True)
    empty, *full = _by_turns(
        bench, count, {"empty file": subject, f"{many:,} finished": finished, f"{many:,} queued": queued}
    )
    yield figures.ratio("6.1", "drain with finished rows against an empty file", full[0], empty, at_least=0.9)
    yield figures.ratio("6.2", "drain with queued rows against an empty file", full[1], empty, at_least=0.9)
    long, default, keep_all = bench.jobs(BURST), subjects.localqueue(), subjects.localqueue("--keep", str(MANY))
    pruned, kept = _by_turns(
        bench, long, {f"{long:,} jobs, default --keep": default, f"{long:,} jobs, nothing pruned": keep_all}
    )
    yield figures.ratio("6.3", "drain while pruning against not pruning", pruned, kept, at_least=0.9)


def _by_turns(bench: Bench, count: int, subjects: dict[str, Subject]) -> list[Series]:
    variants = {name: functools.partial(burst, subject, bench.scratch, count) for name, subject in subjects.items()}
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"flat {what}"))
    return [figures.series(name, "jobs/s", values) for name, values in found.items()]


def burst(subject: Subject, scratch: Path, count: int) -> float:
    """Return deliveries per second, from the first enqueue until `count` more were made.

    Jobs that the file was made with are delivered first, and the new ones wait behind them on disk. What a server
    does once after its start (it looks through the file) is over before.
    """
    with runs.session(subject, scratch, [rows.QUEUE]) as run:
        made = _enqueued(run)
        processes.wait_idle(run.system.pids[0])
        processes.post(f"{run.system.url}/_localqueue/queues/{jobs.NAMESPACE}/{rows.QUEUE}/resume")
        run.load(runs.WARM_UP, first=made)
        run.service.wait(runs.WARM_UP)
        found = run.load(count, first=made + runs.WARM_UP)
        before = sum(answered <= found["first"] for *_, answered in run.service.rows())
        run.service.wait(before + count)
        ends = sorted(answered for *_, answered in run.service.rows())
        run.check_all()
        if (enqueued := _enqueued(run)) != made + runs.WARM_UP + count:
            raise BenchmarkError(f"expected {made + runs.WARM_UP + count} jobs to be enqueued, got {enqueued}")
    return count / float(ends[before + count - 1] - found["first"])


def _enqueued(run: runs.Session) -> int:
    return int(run.system.get("/queues")["queues"][0]["enqueued"])
