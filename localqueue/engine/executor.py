"""Make one attempt from its start to its record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from localqueue.core.models import Outcome, Queue, Request

Send = Callable[[Request], Awaitable[Outcome]]
"""Makes one attempt; never raises but for being cancelled."""


class Deliverer(Protocol):
    """Make attempts."""

    def begin(self, queue: Queue) -> Send:
        """Return what makes the attempt that is being started; called in starting order."""
