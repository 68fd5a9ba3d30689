"""What make does where something is missing: no unfinished environment is used, and an error says what is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


def test_a_build_outside_of_a_clone_says_that_it_needs_one(tmp_path: Path) -> None:
    (tmp_path / "packaging").mkdir()
    program = shutil.copy(ROOT / "packaging/distributions.py", tmp_path / "packaging")
    for env in ({**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}, {"PATH": str(tmp_path)}):
        built = subprocess.run([sys.executable, program], env=env, capture_output=True, text=True)
        assert built.returncode == 1
        assert built.stderr.startswith(
            "Error: only files that git knows are shipped, so the build needs git and a clone\n"
        )
