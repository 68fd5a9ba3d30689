"""Sum up bursts: above a limit, completed deliveries of one second are one line for each queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable

from localqueue.core.real_time import monotonic
from localqueue.core.text import counted, safe

LIMIT = 20
"""How many lines a second has before the rest is summed up."""
PERIOD_S = 1.0


class BurstLimit:
    """The lines of the current second; `write` gets the sums."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = monotonic) -> None:
        self._write = write
        self._now = now
        self._began = 0.0
        self._lines = 0
        self._left_out: Counter[str] = Counter()

    def admits(self, queue: str) -> bool:
        """Return whether a completed delivery of the queue has its own line; else count it."""
        now = self._now()
        if now - self._began >= PERIOD_S:
            self.flush()
            self._began, self._lines = now, 0
        self._lines += 1
        if self._lines <= LIMIT:
            return True
        if not self._left_out:
            with contextlib.suppress(RuntimeError):  # outside a loop, the next line or the end flushes
                asyncio.get_running_loop().call_later(PERIOD_S, self.flush)
        self._left_out[queue] += 1
        return False

    def flush(self) -> None:
        """Write the sums so far."""
        for queue, count in sorted(self._left_out.items()):
            self._write(f"{safe(queue)}: {counted(count, 'more delivery', 'more deliveries')} completed")
        self._left_out.clear()
