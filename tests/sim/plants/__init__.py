"""Plant bugs in the product, for as long as a test runs: a checker that finds none of them finds nothing."""

from __future__ import annotations

from tests.sim.plants import queue, rehearsal

PLANTS = {**queue.PLANTS, **rehearsal.PLANTS}
