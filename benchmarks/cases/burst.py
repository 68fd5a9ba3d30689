"""Goal 7: ten thousand fetches fired at once by one Node process, everything at a soft limit of 1024 files."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import figures, processes, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result

FETCHES = 10_000
OPEN_FILES = 1024
SCRIPT = Path(__file__).parents[1] / "burst.mjs"


def run(bench: Bench) -> Iterator[Result]:
    """Measure localqueue and the constant-answer app in turn."""
    count = bench.jobs(FETCHES)
    what = f"last of {count:,} concurrent fetches against a constant answer"
    if shutil.which("node") is None:
        yield figures.Skipped("7.1", what, "node is not installed")
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        yield figures.Skipped("7.1", what, f"the system allows a process only {hard} open files")
        return
    variants = {
        "localqueue": lambda: _localqueue(bench.scratch, count),
        "constant answer": lambda: _constant(bench.scratch, count),
    }
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"burst {what}"))
    ours, theirs = (figures.series(name, "s", values) for name, values in found.items())
    yield figures.ratio("7.1", what, ours, theirs, at_most=1.3)


def _localqueue(scratch: Path, count: int) -> float:
    with runs.session(subjects.localqueue(open_files=OPEN_FILES), scratch) as run:
        took = _fire(run.system.url, run.place, count)
        run.check(count)
        return took


def _constant(scratch: Path, count: int) -> float:
    command = subjects.limited(OPEN_FILES, processes.module("constant"))
    with runs.folder(scratch) as place, processes.running(command, place) as child:
        return _fire(child.line()["url"], place, count)


def _fire(url: str, place: Path, count: int) -> float:
    """Return the time of the last response in s. Raises BenchmarkError if a response wasn't a 201."""
    command = subjects.limited(OPEN_FILES, ["node", str(SCRIPT), url, str(count)])
    found = runs.accepted(processes.Child(command, place), count)
    return float(found["ms"]) / 1000
