"""Play one long history: days of virtual time, thousands of jobs, and many processes on one file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.sim.checker import Checker
from tests.sim.history import Disk, Entry, line
from tests.sim.loop import SimLoop
from tests.sim.plan import Plan
from tests.sim.scenario import MEMORY, Scenario
from tests.sim.world import START_MS, run

DAY_MS = 86_400_000
KEEP = 90
"""How many finished jobs are kept: few, so that most jobs are pruned."""
PART_JOBS = 60
"""How many jobs may be enqueued between two looks at the file."""


def soak(seed: int, jobs: int, days: float) -> str:
    """Play a history with so many jobs in so many days; return a summary. Raises AssertionError if a rule is broken."""
    with tempfile.TemporaryDirectory(prefix="localqueue-soak-", dir=MEMORY) as folder:
        loop = SimLoop()
        long = Soak(seed, Path(folder), loop, jobs, days)
        run(loop, long.world, long.run())
        long.conclude()
        return long.summary


class Soak(Scenario):
    """Do random things for a long time, and check them part by part, so that memory is bounded."""

    CRONS = ("*/30 * * * *",)

    def __init__(self, seed: int, folder: Path, loop: SimLoop, jobs: int, days: float) -> None:
        super().__init__(seed, folder, loop.time)
        self._loop, self._jobs, self._span_ms = loop, jobs, days * DAY_MS
        self._checker = Checker()
        self._seen: Counter[str] = Counter()
        self._followed = self._most_stored = self._most_rows = 0

    def _draw_plan(self) -> Plan:
        return replace(Plan.draw(self._ops), mode="virtual", keep=KEEP, steps=8)

    async def run(self) -> None:
        """Play everything, part by part."""
        await self._open()
        while self._serial < self._jobs:
            self._most_jobs = min(self._jobs, self._serial + PART_JOBS)
            await self._play()
            await self._jump()
            await self._end_process()
            self._held.clear()
            self._check(self.world.history.take())
            self._loop.recount()
        await self._settle()  # so that the last jump succeeds
        await self._jump()
        await self._finish()

    async def _jump(self) -> None:
        """Advance to the time at which so many jobs are due, often by hours."""
        await self._reopen()
        await self.world.call("advance_to", START_MS + round(self._span_ms * self._serial / self._jobs))

    async def _reset(self, _: object) -> None:
        """Do nothing: a reset would start the history again."""

    # what is seen

    def conclude(self) -> None:
        """Check the end."""
        self._check(self.world.history.entries)
        self._checker.settle()
        assert self._checker.problems == []

    @property
    def summary(self) -> str:
        """Return what was reached."""
        days, seen = (self.world.clock.now() - START_MS) / DAY_MS, self._seen
        return (
            f"{days:.1f} days, {self._serial:,} jobs, {seen['Ended']:,} attempts, {seen['Crashed']:,} crashes,"
            f" {seen['Configured']:,} edits; at most {self._most_stored} jobs and {self._most_rows} attempts stored"
        )

    def _check(self, entries: Sequence[Entry]) -> None:
        self._seen.update(type(entry.fact).__name__ for entry in entries)
        for fact in (entry.fact for entry in entries):
            if isinstance(fact, Disk):
                self._most_stored = max(self._most_stored, len(fact.jobs))
                self._most_rows = max(self._most_rows, sum(len(job.rows) for job in fact.jobs))
        self._checker.follow(entries)
        first = self._followed
        self._followed += len(entries)
        shown = (f"{each}\n    {line(entries[each.index - first])[:400]}" for each in self._checker.problems[:3])
        assert not self._checker.problems, "\n".join(shown)
