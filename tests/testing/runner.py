"""Run pytest with the fixture in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    queues = [{"name": "work", "endpoint": "/work"}, {"name": "other", "endpoint": "/other"}]
    return {"metadata": {"name": "shop"}, "spec": {"queues": queues}}
"""
WITHOUT = [f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "xdist", "anyio")]  # they take a second


class Runner:
    """Run pytest in a folder, with warnings as errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "pytest.ini").write_text("[pytest]\n")

    def __call__(
        self, code: str, *options: str, env: Mapping[str, str] | None = None, timeout_s: float = 120
    ) -> tuple[str, dict[str, int]]:
        """Return the output and the counts of `passed`, `failed`, `error`."""
        (self.folder / "test_it.py").write_text(textwrap.dedent(code))
        command = [sys.executable, "-X", "dev", "-m", "pytest", "-W", "error", "-q", *WITHOUT, *options]
        environment = {**os.environ, **(env or {})}
        for name in ("CI", "BUILD_NUMBER"):  # pytest would print each failure a second time, in its summary
            environment.pop(name, None)
        found = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=timeout_s, env=environment
        )
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", found.stdout)}
        return found.stdout + found.stderr, counts
