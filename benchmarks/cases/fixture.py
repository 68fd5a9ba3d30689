"""Goal 9: the cost of the fixture in a test suite."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import figures, processes, runs
from benchmarks.bench import Bench
from benchmarks.figures import Result
from benchmarks.fixture import catalog

RETRIES = 1000
TESTS = 50
TEST_FILE = f"""
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    return {catalog()!r}

@pytest.mark.parametrize("n", range({TESTS + 1}))
def test_something(n, localqueue):
    localqueue.worker("work").replies(500, 200)
    localqueue.enqueue("work", {{"n": n}})
    localqueue.drain()
"""
CONFTEST = """
import json

spent = {}

def pytest_runtest_logreport(report):
    if report.when != "call":
        spent[report.nodeid] = spent.get(report.nodeid, 0.0) + report.duration

def pytest_sessionfinish(exitstatus):
    with open("spent.json", "w") as file:
        json.dump({"exitstatus": int(exitstatus), "seconds": list(spent.values())}, file)
"""


def run(bench: Bench) -> Iterator[Result]:
    """Measure the parts of the test API, and what a test spends before and after itself."""
    found: list[dict[str, Any]] = []
    retries = bench.jobs(RETRIES)
    for repetition in range(bench.repetitions):
        bench.tell(f"fixture {repetition + 1}/{bench.repetitions}")
        with runs.folder(bench.scratch) as place:
            parts = processes.Child(processes.module("fixture", retries=retries), place).finish()
            found.append({**parts, "overhead": overhead_ms(place)})
    whats = {
        "reset": ("9.1", "reset after a test", 10.0),
        "wide": ("9.2", f"drain of {retries:,} virtual retries, of {-(-retries // 3)} jobs", 1000.0),
        "deep": ("9.3", f"drain of {retries:,} virtual retries, of one job", 1000.0),
        "day": ("9.5", f"24 virtual hours over {retries // 5} failing jobs, {retries // 5 * 6:,} attempts", 5000.0),
        "overhead": ("9.4", "what the fixture adds to a test after the first", 20.0),
    }
    for name, (goal, what, limit) in whats.items():
        yield figures.absolute(
            goal, what, figures.series("test API", "ms", (each[name] for each in found)), at_most=limit
        )


def overhead_ms(place: Path) -> float:
    """Return the median of what tests after the first spend on setup and teardown."""
    (place / "test_speed.py").write_text(TEST_FILE)
    (place / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_speed.py"]
    with open(place / "pytest.txt", "wb") as output:
        subprocess.run(command, cwd=place, env=processes.clean_environment(), stdout=output, stderr=output, check=False)
    spent = json.loads((place / "spent.json").read_text())
    if spent["exitstatus"] != 0:
        raise processes.BenchmarkError((place / "pytest.txt").read_text()[-2000:])
    return float(sorted(spent["seconds"][1:])[TESTS // 2]) * 1000
