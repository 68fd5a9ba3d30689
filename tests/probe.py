"""Probe the event loop of a `localqueue` every 5 ms: how much CPU time did its thread use since the last time?

CPU time, because on a busy machine everything waits.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import time
from pathlib import Path
from unittest import mock

from localqueue.cli.main import main as localqueue
from localqueue.server import event_loop

PERIOD_S = 0.005
VARIABLE = "LOCALQUEUE_TEST_PROBE"
"""Of the environment: the file of the notes."""
_NUMBERS = struct.Struct("=Qd")


class Notes:
    """How often a probe has looked, and the longest step in ms, in a file that two processes share."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBERS.size)

    @staticmethod
    def create(path: Path) -> Notes:
        """Return empty notes."""
        path.write_bytes(_NUMBERS.pack(0, 0.0))
        return Notes(path)

    def read(self) -> tuple[int, float]:
        """Return both numbers."""
        looks, longest_ms = _NUMBERS.unpack(self._memory[:])
        return int(looks), float(longest_ms)

    def write(self, looks: int, longest_ms: float) -> None:
        """Note both numbers."""
        self._memory[:] = _NUMBERS.pack(looks, longest_ms)


async def _probe(notes: Notes) -> None:
    before = time.thread_time()
    while True:
        await asyncio.sleep(PERIOD_S)
        now = time.thread_time()
        looks, longest_ms = notes.read()
        notes.write(looks + 1, max(longest_ms, (now - before) * 1000))
        before = now


def main() -> None:
    """Be `localqueue`; the probe starts once it is ready."""
    relax = event_loop.relax_garbage_collection
    probing: list[asyncio.Task[None]] = []

    def start() -> None:
        relax()
        probing.append(asyncio.create_task(_probe(Notes(Path(os.environ[VARIABLE])))))

    with mock.patch.object(event_loop, "relax_garbage_collection", start):
        localqueue(prog_name="localqueue")
