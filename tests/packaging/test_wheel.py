"""The wheel: what is in it, and that two builds are equal."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from localqueue import __version__
from tests.docs.pages import ROOT

pytestmark = pytest.mark.binary
PACKAGE = ROOT / "localqueue"
SHIPPED = {".py", ".sql", ".html", ".css", ".js", ".svg", ".typed"}


def build(folder: Path) -> Path:
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PACKAGE, source / "localqueue", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600"})
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_has_the_package_and_nothing_else_and_is_reproducible(tmp_path: Path) -> None:
    wheels = [build(tmp_path / name) for name in ("first", "second")]
    assert wheels[0].name == f"iec_localqueue-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheels[0]).namelist())
    found = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {str(path.relative_to(ROOT)) for path in found}
    assert {Path(name).suffix for name in wanted} == SHIPPED
    assert {name for name in names if not name.startswith("iec_localqueue-")} == wanted
    first, second = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert first == second
