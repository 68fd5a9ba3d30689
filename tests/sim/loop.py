"""Run coroutines in a time of its own: waiting costs nothing, and waiting for nothing is noticed."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

MOST_TURNS = 500_000
"""A history that takes more turns of the loop never ends; most take a few thousand."""


class Stuck(Exception):
    """Say that nothing can happen any more, though somebody still waits, or that things happen without end."""


class _Jump(selectors.SelectSelector):
    """Let time pass instead of waiting for files."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits, and nothing is going to happen")
        self.turns += 1
        if self.turns > MOST_TURNS:
            self.turns = 0
            raise Stuck("things happen without end")
        self.now += max(timeout, 0.0)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """Be an event loop whose time jumps to the next timer as soon as nothing else is to be done."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def recount(self) -> None:
        """Count the turns anew: a part of a long history has ended."""
        self._jump.turns = 0
