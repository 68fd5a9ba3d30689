"""Play random histories against the real engine, and check them; plant bugs, and see that the checker finds them."""

from __future__ import annotations

import os
import random

from tests.sim import problems_of
from tests.sim.__main__ import campaign
from tests.sim.plants import PLANTS
from tests.sim.soak import soak as long_history


def seeds(count: int, seed: int) -> str:
    """Play `count` seeds from this one on."""
    if count < 1000:
        assert [text for each in range(seed, seed + count) if (text := problems_of(each))] == []
    else:
        assert campaign(seed, count, os.cpu_count() or 2) == 0
    return f"{count:,} histories, no rule broken"


def soak(count: int, seed: int) -> str:
    """Play one history of `count` jobs: a day, or with 100,000 jobs a month of virtual time."""
    return long_history(seed, count, days=max(1.0, 30 * count / 100_000))


def plants(count: int, seed: int) -> str:
    """Plant `count` of the known bugs in the product, one after the other."""
    names = random.Random(seed).sample(sorted(PLANTS), min(count, len(PLANTS)))
    assert [name for name in names if not PLANTS[name].shows(PLANTS[name].seed)] == []
    return f"{len(names)} of {len(PLANTS)} bugs planted, each found"
