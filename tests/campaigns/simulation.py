"""Play random histories against the real engine, and check them."""

from __future__ import annotations

import os

from tests.sim import problems_of
from tests.sim.__main__ import campaign


def seeds(count: int, seed: int) -> str:
    """Play `count` seeds from this one on."""
    if count < 1000:
        assert [text for each in range(seed, seed + count) if (text := problems_of(each))] == []
    else:
        assert campaign(seed, count, os.cpu_count() or 2) == 0
    return f"{count:,} histories, no rule broken"
