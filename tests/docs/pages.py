"""Take the files that a how-to page shows out of it: each code block that begins with a comment naming its file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forking
from tests.testing.runner import IMPORTED

ROOT = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if name not in ("IEC_QUEUE_URL", "SERVICE_NAMESPACE")}
ENV["PYTEST_ADDOPTS"] = f"-pno:hypothesispytest -pno:anyio -pno:cacheprovider '{IMPORTED}'"  # the first takes a second
ENV["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `localqueue` is there
PACKAGES = ROOT / "tests/docs/node/node_modules"
_BLOCK = re.compile(r"^```[a-z]*\n(?:#|//) ([\w./-]+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write the files of a page into a folder; return their names."""
    found = _BLOCK.findall((ROOT / page).read_text())
    for name, text in found:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [name for name, _ in found]


def block(page: str, language: str, number: int = 0) -> str:
    """Return a block of a page in that language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return found[number]


def write_node_files(page: str, folder: Path) -> list[str]:
    """Write the files of a page for Node with its package.json; skip the test where npm packages are missing."""
    if shutil.which("node") is None or not (PACKAGES / ".ready").exists():
        pytest.skip(f"{page} was not tested: `make test` could not install its npm packages (is npm there?)")
    names = write_files(page, folder)
    (folder / "package.json").write_text(block(page, "json"))
    (folder / "node_modules").symlink_to(PACKAGES)
    return names


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run what a page shows, and check that it ends well."""
    if command[:3] == ("python", "-m", "pytest"):
        program, *words = forking.ForkedPytest, *command[3:]
    else:
        program, *words = subprocess.Popen, *command
    found = forking.run(*words, program=program, timeout=120, cwd=folder, env=ENV | env)
    assert found.returncode == 0, found.stdout + found.stderr
    return found
