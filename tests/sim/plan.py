"""Decide what is the same for a whole run, and draw settings."""

from __future__ import annotations

import random
from dataclasses import dataclass

from localqueue.core.models import Queue, QueueKey


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold what is the same for a whole run."""

    queues: dict[QueueKey, Queue]
    steps: int
    failing: float
    """The share of deliveries that end badly."""
    window: int
    """How many jobs are read from disk at once."""
    keep: int
    mode: str
    """Whether time stands still until it is moved (virtual) or runs (wall)."""
    has_trouble: bool
    meddling: float
    """How often a handler calls localqueue before it answers."""

    @classmethod
    def draw(cls, rng: random.Random) -> Plan:
        """Decide it."""
        names = [("shop", "a"), ("shop", "b"), ("bank", "a")][: rng.randint(1, 3)]
        return cls(
            queues={key: draw_queue(rng, key) for key in names},
            steps=rng.randint(8, 32),
            failing=rng.choice((0.1, 0.4, 0.7, 0.95)),
            window=rng.choice((1, 2, 4, 256)),
            keep=rng.choice((2, 10_000, 10_000)),
            mode=rng.choice(("virtual", "virtual", "wall")),
            has_trouble=rng.random() < 0.3,
            meddling=rng.choice((0.0, 0.1, 0.3)),
        )


def draw_queue(rng: random.Random, key: QueueKey) -> Queue:
    """Return a queue with random settings."""
    return Queue(
        *key,
        endpoint=f"/{key[1]}",
        concurrency=rng.choice((1, 1, 2, 3, 5)),
        retries=rng.choice((0, 1, 2, 3)),
        retry_delay_ms=rng.choice((0, 1, 100, 250, 1000, 5000)),
        timeout_ms=rng.choice((100, 300, 1000, 5000)),
    )
