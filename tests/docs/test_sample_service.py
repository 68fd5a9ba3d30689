"""The sample services run against a real server, both with the same behavior."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "sample-service"


@pytest.mark.parametrize("file", ["python/app.py", "node/app.js"])
def test_each_service_is_short_enough_to_copy_from(file: str) -> None:
    assert len((SAMPLE / file).read_text().splitlines()) < 150


def test_the_demo_with_the_python_service_ends_well() -> None:
    found = subprocess.run([sys.executable, SAMPLE / "demo.py"], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "32, all completed" in found.stdout
    assert "37, of which 5 failed first and were retried" in found.stdout


def test_the_demo_with_the_express_service_ends_well() -> None:
    install_express()
    command = [sys.executable, SAMPLE / "demo.py", "--node"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "32, all completed" in found.stdout


def install_express() -> None:
    """Install the Node service's packages, or skip and say why."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the Express service was not tested")
    with (SAMPLE / "node/package.json").open() as package:
        fcntl.flock(package, fcntl.LOCK_EX)  # another process of the tests may install them now
        if (SAMPLE / "node/node_modules/.package-lock.json").exists():  # npm writes it last
            return
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
        found = subprocess.run(command, cwd=SAMPLE / "node", capture_output=True, text=True, timeout=300)
    if found.returncode:
        pytest.skip(f"npm could not install Express: {found.stderr.strip()[-300:]}")
