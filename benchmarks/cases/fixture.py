"""Goal 9: the cost of the fixture in a test suite."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import figures, processes, runs
from benchmarks.bench import Bench
from benchmarks.figures import Result
from benchmarks.fixture import catalog, taken_ms

RETRIES = 1000
TESTS = 500
CONFTEST = f"""
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    return {catalog()!r}
"""
SUITE = """
import pytest

@pytest.mark.parametrize("n", range({tests}))
def test_something(n{fixture}):
    {body}
"""
TWO_ATTEMPTS = """localqueue.worker("work").replies(500, 200)
    localqueue.enqueue("work", {"n": n})
    localqueue.drain()"""


def run(bench: Bench) -> Iterator[Result]:
    """Measure the parts of the test API, and what a test spends before and after itself."""
    found: list[dict[str, Any]] = []
    retries = bench.jobs(RETRIES)
    for repetition in range(bench.repetitions):
        bench.tell(f"fixture {repetition + 1}/{bench.repetitions}")
        with runs.folder(bench.scratch) as place:
            parts = processes.Child(processes.module("fixture", retries=retries), place).finish()
            found.append({**parts, **added_ms(place, bench.jobs(TESTS))})
    whats = {
        "reset": ("9.1", "reset after a test", 10.0),
        "wide": ("9.2", f"drain of {retries:,} virtual retries, of {-(-retries // 3)} jobs", 1000.0),
        "deep": ("9.3", f"drain of {retries:,} virtual retries, of one job", 1000.0),
        "day": ("9.5", f"24 virtual hours over {retries // 5} failing jobs, {retries // 5 * 6:,} attempts", 5000.0),
        "alone": ("9.4", f"what the fixture adds to each of {bench.jobs(TESTS)} tests that do nothing", 2.0),
        "two": ("9.6", "what it adds with two scripted attempts of a job", 5.0),
        "asserted": ("9.7", "assert_enqueued over 2,000 jobs", 100.0),
        "imported": ("9.8", "import of the plugin in a suite that doesn't use it", 10.0),
    }
    for name, (goal, what, limit) in whats.items():
        yield figures.absolute(
            goal, what, figures.series("test API", "ms", (each[name] for each in found)), at_most=limit
        )


def added_ms(place: Path, tests: int) -> dict[str, float]:
    """Return what the fixture adds to each test, alone and with two attempts, against the same suite without it."""
    (place / "conftest.py").write_text(CONFTEST)
    without = suite_ms(place, tests, "", "pass")
    return {
        "alone": (suite_ms(place, tests, ", localqueue", "pass") - without) / tests,
        "two": (suite_ms(place, tests, ", localqueue", TWO_ATTEMPTS) - without) / tests,
    }


def suite_ms(place: Path, tests: int, fixture: str, body: str) -> float:
    """Return how long pytest takes, from its start to its end."""
    (place / "test_speed.py").write_text(SUITE.format(tests=tests, fixture=fixture, body=body))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_speed.py"]
    with open(place / "pytest.txt", "wb") as output:
        run = functools.partial(subprocess.run, command, cwd=place, env=processes.clean_environment(), check=False)
        codes: list[int] = []
        took = taken_ms(lambda: codes.append(run(stdout=output, stderr=output).returncode))
    if codes != [0]:
        raise processes.BenchmarkError((place / "pytest.txt").read_text()[-2000:])
    return took
