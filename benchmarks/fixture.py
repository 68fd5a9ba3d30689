"""Use the test API as a test does, and print the duration of its parts in ms."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks import loops
from localqueue.testing.local_queue import LocalQueue

RESETS = 50


def catalog(**settings: int) -> dict[str, object]:
    """Return a catalog of one queue."""
    return {"metadata": {"name": "bench"}, "spec": {"queues": [{"name": "work", "endpoint": "/work", **settings}]}}


def taken_ms(work: Callable[[], object]) -> float:
    """Return the duration of a call in ms."""
    begin = time.monotonic()
    work()
    return (time.monotonic() - begin) * 1000


def reset_ms() -> float:
    """Return the median time of a reset after a test with a few jobs."""
    with LocalQueue(catalog()) as queue:
        found = []
        for _ in range(RESETS):
            queue.worker("work").replies(500, 200, 200, 200)
            for n in range(3):
                queue.enqueue("work", {"n": n})
            queue.drain()
            found.append(taken_ms(queue.reset))
        return sorted(found)[RESETS // 2]


def drain_ms(jobs: int, retries: int) -> float:
    """Return how long a drain takes in which every job fails until it has no retries left."""
    with LocalQueue(catalog(retries=retries)) as queue:
        queue.worker("work").always(500)
        for n in range(jobs):
            queue.client.enqueue("bench", "work", f'{{"n": {n}}}')
        found: list[int] = []
        took = taken_ms(lambda: found.append(len(queue.drain())))
        assert found == [jobs * (retries + 1)], found
        return took


def day_ms(jobs: int) -> float:
    """Return how long 24 virtual hours take in which every job fails six times, a minute between two attempts."""
    with LocalQueue(catalog(retries=5, retryDelayMs=60_000)) as queue:
        queue.worker("work").always(500)
        for n in range(jobs):
            queue.client.enqueue("bench", "work", f'{{"n": {n}}}')
        found: list[int] = []
        took = taken_ms(lambda: found.append(len(queue.advance("24h"))))
        assert found == [jobs * 6], found
        return took


def assert_ms(jobs: int) -> float:
    """Return how long `assert_enqueued` looks for the last of many jobs."""
    with LocalQueue(catalog()) as queue:
        for n in range(jobs):
            queue.client.enqueue("bench", "work", f'{{"n": {n}}}')
        return taken_ms(lambda: queue.assert_enqueued("work", data={"n": jobs - 1}))


def import_ms() -> float:
    """Return how long pytest takes to import the plugin, in a new process."""
    code = "import pytest, time; t = time.monotonic(); import localqueue.pytest_plugin; print(time.monotonic() - t)"
    return float(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout) * 1000


if __name__ == "__main__":
    told = loops.told()
    retries = told["retries"]
    loops.say(
        reset=reset_ms(),
        wide=drain_ms(-(-retries // 3), 3),
        deep=drain_ms(1, min(retries, 1000)),
        day=day_ms(retries // 5),
        asserted=assert_ms(2000),
        imported=import_ms(),
    )
