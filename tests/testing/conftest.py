"""The runner for the tests of the fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.runner import Runner


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path)
