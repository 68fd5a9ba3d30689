"""Goal 4: many queues drain as fast as one."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks import figures, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result

JOBS = 5000


def run(bench: Bench) -> Iterator[Result]:
    """Measure 1, 10 and 50 queues in turn, each with 5 slots."""
    count, subject = bench.jobs(JOBS), subjects.localqueue()
    names = {f"{queues} x 5": [f"work-{n}" for n in range(queues)] for queues in (1, 10, 50)}
    variants = {
        name: functools.partial(runs.drain, subject, bench.scratch, count, queues=queues)
        for name, queues in names.items()
    }
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"queues {what}"))
    one, ten, fifty = (
        figures.series(name, "jobs/s", (each.through_per_s for each in passed)) for name, passed in found.items()
    )
    yield figures.ratio("4.1", "drain of 10 queues against one", ten, one, at_least=0.95)
    yield figures.ratio("4.2", "drain of 50 queues against one", fifty, one, at_least=0.85)
