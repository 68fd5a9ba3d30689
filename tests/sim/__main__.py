"""Play seeds: `python -m tests.sim 123` shows one, `python -m tests.sim --count 50000` looks for more."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

from tests.sim import FAILING, failing_seeds, problems_of
from tests.sim.checker import check
from tests.sim.scenario import play

CHUNK = 50


def main() -> int:
    """Return the exit code: 1 if a rule did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED", help="a seed to play and to show")
    parser.add_argument("--count", type=int, default=0, help="how many seeds to play")
    parser.add_argument("--start", type=int, help="the first of them (default: at random)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes to use")
    given = parser.parse_args()
    if not given.seeds and not given.count:
        parser.error("expected a seed, or --count")
    codes = [show(seed) for seed in given.seeds]
    if given.count:
        start = random.randrange(10**9) if given.start is None else given.start
        codes.append(campaign(start, given.count, given.jobs))
    return max(codes)


def show(seed: int) -> int:
    """Play a seed and show everything that happens."""
    found = play(seed, print)
    problems = check(found)
    for problem in problems:
        print(f"{problem}\n    {found.line(problem.index)}")
    print(f"seed {seed}: {len(found.entries)} facts, {len(problems)} problems, {found.digest()}")
    return int(bool(problems))


def campaign(start: int, count: int, jobs: int) -> int:
    """Play many seeds and keep those that fail."""
    began, played, failed = perf_counter(), 0, 0
    with ProcessPoolExecutor(jobs) as pool:
        for seeds, found in pool.map(_play_chunk, _chunks(start, count)):
            for seed, text in found:
                print(f"\n{text}")
                _keep(seed)
            played, failed = played + len(seeds), failed + len(found)
            rate = played / (perf_counter() - began)
            print(f"\r{played} of {count} seeds from {start}, {failed} failed, {rate:.0f}/s ", end="", flush=True)
    print()
    return int(bool(failed))


def _chunks(start: int, count: int) -> Iterator[range]:
    end = start + count
    return (range(first, min(first + CHUNK, end)) for first in range(start, end, CHUNK))


def _play_chunk(seeds: range) -> tuple[range, list[tuple[int, str]]]:
    found = ((seed, problems_of(seed)) for seed in seeds)
    return seeds, [(seed, text) for seed, text in found if text]


def _keep(seed: int) -> None:
    if seed not in failing_seeds():
        with FAILING.open("a") as file:
            file.write(f"{seed}\n")


if __name__ == "__main__":
    sys.exit(main())
