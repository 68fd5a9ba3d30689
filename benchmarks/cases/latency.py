"""Goal 3: how long a job takes from the enqueue call to its arrival at the worker, at 100 jobs a second."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks import figures, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result

RATE = 100
JOBS = 1000


def run(bench: Bench) -> Iterator[Result]:
    """Measure localqueue and BullMQ in turn."""
    peer = bench.peer("bullmq")
    systems = [subjects.localqueue(), *([peer] if peer else [])]
    variants = {subject.name: functools.partial(waits, subject, bench) for subject in systems}
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"latency {what}"))
    for goal, percent in (("3.1", 50), ("3.2", 99)):
        what = f"latency at {RATE} jobs/s, p{percent}"
        ours, *others = (
            figures.series(name, "ms", (figures.percentile(waited, percent) for waited in each))
            for name, each in found.items()
        )
        if others:
            yield figures.ratio(goal, f"{what} against BullMQ", ours, others[0], at_most=1.1, aim=1.0)
        else:
            yield figures.Skipped(goal, what, f"{bench.reasons['bullmq']}; {ours.shown()}")


def waits(subject: subjects.Subject, bench: Bench) -> list[float]:
    """Return the latency of each job, in ms."""
    count = bench.jobs(JOBS)
    with runs.session(subject, bench.scratch) as run:
        run.warm_up()
        found = run.load(count, first=runs.WARM_UP, rate=RATE, connections=RATE)
        run.check(runs.WARM_UP + count)
        arrived = {job: at for job, _, at, _ in run.service.rows()}
    return [(arrived[runs.WARM_UP + n] - sent) * 1000 for n, sent in enumerate(found["sent"])]
