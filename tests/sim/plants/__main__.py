"""Print a new seed for each planted bug whose seed no longer shows it: the suite searches for one in every run."""

from __future__ import annotations

from itertools import count

from tests.sim.plants import PLANTS

for name, planted in PLANTS.items():
    if not planted.shows(planted.seed):
        print(f"{next(filter(planted.shows, count()))}: {name}", flush=True)
