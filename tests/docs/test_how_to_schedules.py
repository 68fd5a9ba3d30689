"""The page docs/how-to-schedules.md: its test passes, its catalog has no findings, its commands exist."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import run, write_files
from tests.support import localqueue

PAGE = "docs/how-to-schedules.md"
NAMES = ["service.py", "catalog-info.yaml", "conftest.py", "test_nightly_sync.py"]


def test_the_night_of_the_page_passes(tmp_path: Path) -> None:
    """Rule schedule.timeline."""
    assert write_files(PAGE, tmp_path) == NAMES
    assert "1 passed" in run(tmp_path, "python", "-m", "pytest", "-q").stdout
    found = localqueue("check", str(tmp_path))
    assert (found.exit_code, found.output) == (0, "1 file, 1 queue, 1 schedule, no warnings\n")
