"""Random histories keep the rules, and the checker that says so finds planted bugs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import failing_seeds, problems_of
from tests.sim.plants import PLANTS
from tests.sim.scenario import play

SEEDS, CHUNK = 300, 25
ENOUGH = 200
"""Within how many seeds each planted bug must be found."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_random_histories_keep_the_rules(first: int) -> None:
    assert "\n".join(filter(None, map(problems_of, range(first, first + CHUNK)))) == ""


def test_histories_that_failed_before_keep_the_rules() -> None:
    assert "\n".join(filter(None, map(problems_of, failing_seeds()))) == ""


def test_the_same_seed_gives_the_same_history_in_every_process() -> None:
    seeds = [str(seed) for seed in range(6)]
    command = [sys.executable, "-W", "error", "-m", "tests.sim", *seeds]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # here it is another one
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=True
    )
    digests = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("seed ")]
    assert digests == [play(int(seed)).digest() for seed in seeds]


@pytest.mark.parametrize("name", PLANTS)
def test_the_checker_finds(name: str) -> None:
    assert any(map(PLANTS[name].shows, (PLANTS[name].seed, *range(ENOUGH)))), f"in {ENOUGH} seeds"
