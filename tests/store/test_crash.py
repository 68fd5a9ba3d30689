"""kill -9 at any moment loses nothing that was acknowledged, leaves nothing stuck, and breaks no other rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.crashes import crash, cycles

POINTS = ["before-commit:1", "before-commit:3", "after-commit:1", "after-commit:4", "before-send:2", "after-send:2"]


def test_twenty_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """Rule storage.kill."""
    assert cycles(tmp_path, 20, seed=1) > 50


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_many_kills_under_load_lose_nothing(tmp_path: Path, seed: int) -> None:
    """Rule storage.kill, the long form."""
    cycles(tmp_path, 50, seed)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_a_named_point_loses_nothing(tmp_path: Path, point: str) -> None:
    """Rule storage.kill."""
    crash(tmp_path, point)
