"""What a planted bug is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Plant = Callable[[], contextlib.AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Planted:
    """Hold a bug, the rule that it breaks, and seeds that were seen to show it."""

    plant: Plant
    rule: str
    seeds: tuple[int, ...] = ()
