"""Kill a server again and again, at random and at named points; nothing acknowledged may be lost or stuck."""

from __future__ import annotations

import random
import signal
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.campaigns.observed import observing
from tests.forking import ForkedPopen
from tests.support import write_catalog

POINTS = ("before-send", "after-send", "before-commit", "after-commit")
CYCLES = 50
"""How many kills one database outlives."""
SERVERS = 20


def kills(count: int, seed: int) -> str:
    """Kill a server under load `count` times, at random moments, also within its start."""
    acknowledged = 0
    for number in range(max(count // CYCLES, 1)):
        with tempfile.TemporaryDirectory() as folder:
            acknowledged += cycles(Path(folder), min(count, CYCLES), seed + number)
    return f"{acknowledged:,} acknowledged jobs, none lost, none stuck, no rule broken"


def cycles(folder: Path, number: int, seed: int) -> int:
    """Kill a server `number` times and check the history; return how many jobs were acknowledged."""
    rng = random.Random(seed)
    with observing(folder) as observed:
        for _ in range(number):
            server = observed.start()
            threads = []
            if rng.random() >= 0.2:  # else it dies within its start, so that the recovery is interrupted too
                threads = observed.produce(server.wait_ready().url)
            threading.Event().wait(rng.uniform(0, 0.4))  # the moment of death must not depend on what it does
            server.kill()
            for thread in threads:
                thread.join()
            observed.crashed()
        observed.settle()
        observed.check()
        return observed.acknowledged


def points(count: int, seed: int) -> str:
    """Crash at each named point, when it is reached for the 1st to the `count`th time."""
    acknowledged = 0
    for point in POINTS:
        for number in range(1, count + 1):
            with tempfile.TemporaryDirectory() as folder:
                acknowledged += crash(Path(folder), f"{point}:{number}")
    crashes = len(POINTS) * count
    return f"{crashes} crashes, {acknowledged:,} acknowledged jobs, none lost, none stuck, no rule broken"


def crash(folder: Path, point: str) -> int:
    """Crash a server under load at a point and check the history; return how many jobs were acknowledged."""
    with observing(folder) as observed:
        server = observed.start(point).wait_ready()
        for thread in observed.produce(server.url):
            thread.join()
        assert server.finish()[0] == -signal.SIGKILL, point
        observed.crashed()
        observed.settle()
        observed.check()
        return observed.acknowledged


def double_starts(count: int, seed: int) -> str:
    """Start many servers on one database at once, `count` times: one runs, and the others name it."""
    rng = random.Random(seed)
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_catalog(folder)
            words = ["up", "--port", "0", "--log", "json"]
            pipes: dict[str, Any] = {"stdout": -1, "stderr": -1, "text": True, "cwd": folder}
            started = [ForkedPopen(words, **pipes) for _ in range(SERVERS)]
            rng.shuffle(started)
            with ThreadPoolExecutor(SERVERS) as threads:
                lines = list(threads.map(lambda process: process.stdout.readline(), started))
            running = [process for process, line in zip(started, lines, strict=True) if line]
            assert len(running) == 1, f"{len(running)} servers run on one database"
            for process in started:
                process.terminate()
                errors = process.communicate(timeout=30)[1]
                assert process in running or "is in use by another localqueue" in errors, errors
    return f"{count * SERVERS} starts, one server at a time"
