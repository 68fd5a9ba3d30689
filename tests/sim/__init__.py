"""Run random histories against the real engine, and check them.

Real are the engine, its dispatcher, timeline, store, delivery and a SQLite file. Simulated are what makes runs
differ: the event loop's time, the delays and failures of the disk, crashes, the system's clock, and the service
that jobs go to. All of that comes from one seed, so that a failing one can be played again, step by step:
`python -m tests.sim SEED`. `soak` is the long form: one history of many days.

A seed means the same history only as long as `scenario` is the same: turn what it found into a test of its own.
"""

from __future__ import annotations

from pathlib import Path

from tests.sim.checker import check
from tests.sim.scenario import play

FAILING = Path(__file__).with_name("failing.txt")
"""Seeds that have failed once; the default suite plays them first."""


def failing_seeds() -> list[int]:
    """Return the seeds that were kept."""
    return [int(line) for line in FAILING.read_text().splitlines() if line and not line.startswith("#")]


def problems_of(seed: int) -> str:
    """Return the problems in the history of a seed and how to replay it, or the empty string."""
    problems: list[object]
    try:
        problems = [*check(play(seed))]
    except Exception as error:
        problems = [error]
    if not problems:
        return ""
    shown = "\n".join(f"  {problem!s}" for problem in problems[:3])
    return f"seed {seed} fails ({len(problems)} problems); to see it: python -m tests.sim {seed}\n{shown}"
