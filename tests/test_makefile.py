"""An environment that make couldn't finish isn't taken for a finished one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_an_environment_without_uvloop_is_not_ready_until_it_is_installed(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (tmp_path / "pyproject.toml").touch()
    os.utime(tmp_path / "pyproject.toml", (0, 0))
    (tmp_path / ".venv/ready").touch()
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", ".venv-plain/ready"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert made.returncode != 0 and ".venv-plain/bin/python" in made.stderr + made.stdout
    assert not (tmp_path / ".venv-plain/ready").exists()
