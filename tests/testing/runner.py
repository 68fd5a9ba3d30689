"""Run pytest with the fixture in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests import forking

CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    queues = [{"name": "work", "endpoint": "/work"}, {"name": "other", "endpoint": "/other"}]
    return {"metadata": {"name": "shop"}, "spec": {"queues": queues}}
"""
WITHOUT = [f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "xdist", "anyio")]  # they take a second
IMPORTED = "-Wignore:Module already imported:pytest.PytestAssertRewriteWarning"
"""For a forked pytest: its launcher has imported the plugin."""


def run_pytest(
    folder: Path, *options: str, env: Mapping[str, str] = os.environ, timeout_s: float = 120, is_forked: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, with warnings as errors; not forked if it needs other packages than the launcher has."""
    words = ("-Werror", IMPORTED, "-q", *WITHOUT, *options)
    if not is_forked:
        command = [sys.executable, "-X", "dev", "-m", "pytest", *words]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout_s)
    return forking.run(*words, program=forking.ForkedPytest, timeout=timeout_s, cwd=folder, env=env)


class Runner:
    """Run pytest in a folder, with warnings as errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "pytest.ini").write_text("[pytest]\n")

    def __call__(
        self,
        code: str,
        *options: str,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
        is_forked: bool = True,
    ) -> tuple[str, dict[str, int]]:
        """Return the output and the counts of `passed`, `failed`, `error`."""
        (self.folder / "test_it.py").write_text(textwrap.dedent(code))
        environment = {**os.environ, "PYTHONASYNCIODEBUG": "1", **(env or {})}
        for name in ("CI", "BUILD_NUMBER"):  # pytest would print each failure a second time, in its summary
            environment.pop(name, None)
        found = run_pytest(self.folder, *options, env=environment, timeout_s=timeout_s, is_forked=is_forked)
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", found.stdout)}
        return found.stdout + found.stderr, counts
