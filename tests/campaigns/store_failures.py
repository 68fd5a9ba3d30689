"""Let each call of the database fail once, in a history of its own, and check them all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.sim.checker import check
from tests.sim.disk import StoreCalls
from tests.sim.scenario import play

Found = tuple[int, list[str]]
"""How many calls of a history failed, and the rules that were broken then."""


def sweep(count: int, seed: int) -> str:
    """Fail every call of one seed after the other, until `count` calls have failed."""
    if count < 1000:
        failed, broken = fail_each(seed, count)
        assert broken == []
        return f"{failed} calls of one history, each failed once: no rule broken"
    seeds = calls = 0
    for failed, broken in _swept(seed, os.cpu_count() or 2):
        assert broken == []
        seeds, calls = seeds + 1, calls + failed
        if calls >= count:
            break
    return f"{calls:,} calls of {seeds} histories, each failed once: no rule broken"


def _swept(seed: int, processes: int) -> Iterator[Found]:
    with ProcessPoolExecutor(processes) as pool:
        while True:
            yield from pool.map(fail_each, range(seed, seed + 10 * processes))
            seed += 10 * processes


def fail_each(seed: int, most: int = sys.maxsize) -> Found:
    """Play a history once, and once more for each of its calls (the first ones, at most `most`), which fails."""
    calls = StoreCalls()
    play(seed, calls=calls)
    broken = []
    failed = min(calls.made, most)
    for n in range(1, failed + 1):
        problems = check(play(seed, calls=StoreCalls(failing=n)))
        broken += [f"seed {seed}, call {n}: {problem}" for problem in problems[:1]]
    return failed, broken
