"""Remember the attempts of the last minute by queue, and how long the latest ones took. The memory is bounded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from localqueue.core import events, real_time
from localqueue.core.models import Attempt, OutcomeKind, QueueKey
from localqueue.engine.engine import Engine

SECONDS = 60
LATEST = 250
"""How many durations of each queue are remembered."""
NOT_COUNTED = (OutcomeKind.INTERRUPTED, OutcomeKind.CANCELLED)
"""Outcomes that are ours or the user's, and say nothing about the service."""


@dataclass(frozen=True, slots=True)
class RecentAttempts:
    """The completed and the failed attempts of each of the last seconds, the oldest second first, and durations."""

    completed: Sequence[int]
    failed: Sequence[int]
    durations_ms: Sequence[int]

    def percentile(self, part: float) -> int | None:
        """Return the duration that this part of the latest attempts did not exceed, in ms; None without attempts."""
        ordered = sorted(self.durations_ms)
        return ordered[max(math.ceil(part * len(ordered)) - 1, 0)] if ordered else None


NOTHING = RecentAttempts([0] * SECONDS, [0] * SECONDS, [])


class QueueHistory:
    """The last minute of one queue: a ring of seconds."""

    __slots__ = ("completed", "durations_ms", "failed", "latest")

    def __init__(self) -> None:
        self.completed = [0] * SECONDS
        self.failed = [0] * SECONDS
        self.durations_ms: deque[int] = deque(maxlen=LATEST)
        self.latest = 0
        """The second up to which the ring is current."""

    def move_to(self, second: int) -> int:
        """Forget the seconds that are over a minute old, and return the place of this second in the ring."""
        for passed in range(max(self.latest + 1, second - SECONDS + 1), second + 1):
            self.completed[passed % SECONDS] = self.failed[passed % SECONDS] = 0
        self.latest = max(self.latest, second)
        return second % SECONDS

    def add(self, attempt: Attempt, second: int) -> None:
        """Count an attempt that has ended in this second."""
        is_completed = attempt.outcome.kind is OutcomeKind.COMPLETED
        (self.completed if is_completed else self.failed)[self.move_to(second)] += 1
        if attempt.outcome.injected is None:
            self.durations_ms.append(attempt.duration_ms)

    def read(self, second: int) -> RecentAttempts:
        """Return the minute that ends with this second."""
        first = self.move_to(second) + 1
        completed, failed = ([*ring[first:], *ring[:first]] for ring in (self.completed, self.failed))
        return RecentAttempts(completed, failed, list(self.durations_ms))


class RecentHistory:
    """The history of every queue since the start or the last reset; seconds are real time on either clock."""

    def __init__(self, engine: Engine) -> None:
        self._queues: dict[QueueKey, QueueHistory] = {}
        engine.hub.add_for((events.AttemptEnded, events.WasReset), self._take)

    def _take(self, event: events.Event) -> None:
        if not isinstance(event, events.AttemptEnded):
            self._queues.clear()
        elif event.attempt.outcome.kind not in NOT_COUNTED:
            history = self._queues.get(event.job.key) or self._queues.setdefault(event.job.key, QueueHistory())
            history.add(event.attempt, int(real_time.monotonic()))

    def read(self, key: QueueKey) -> RecentAttempts:
        """Return the last minute of a queue."""
        history = self._queues.get(key)
        return NOTHING if history is None else history.read(int(real_time.monotonic()))
