"""What a planted bug is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.sim.checker import check
from tests.sim.scenario import play

Plant = Callable[[], contextlib.AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, the rule that it breaks, and a seed that shows it; `python -m tests.sim.plants` prints new ones."""

    plant: Plant
    rule: str
    seed: int = 0

    def shows(self, seed: int) -> bool:
        """Return whether the checker finds the bug in the history of a seed."""
        with self.plant():
            return self.rule in {problem.rule for problem in check(play(seed))}
