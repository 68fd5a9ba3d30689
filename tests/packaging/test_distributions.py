"""The wheel and the sdist: what is in them, what they say of themselves, and that two builds are equal."""

from __future__ import annotations

import email
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from localqueue import __version__
from tests.docs.pages import ROOT

pytestmark = pytest.mark.binary
PACKAGE = ROOT / "localqueue"
SHIPPED = {".py", ".sql", ".html", ".css", ".js", ".svg", ".typed"}
SDIST = ROOT / f"dist/iec_localqueue-{__version__}.tar.gz"
WHEEL = ROOT / f"dist/iec_localqueue-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def package() -> set[str]:
    found = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_has_the_package_and_nothing_else(package: set[str]) -> None:
    names = set(zipfile.ZipFile(WHEEL).namelist())
    assert {Path(name).suffix for name in package} == SHIPPED
    assert {name for name in names if not name.startswith("iec_localqueue-")} == package


def test_the_sdist_has_the_package_and_what_it_is_built_from(package: set[str]) -> None:
    with tarfile.open(SDIST) as tar:
        members = tar.getmembers()
    names = {member.name.partition("/")[2] for member in members if member.isfile()}
    written = {"PKG-INFO", "setup.cfg"} | {name for name in names if ".egg-info/" in name}
    assert names - written == package | {"pyproject.toml", "README.md", "LICENSE"}
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", members[0].mtime)}


def test_the_wheel_has_the_version_the_license_and_the_entry_points() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        info = f"iec_localqueue-{__version__}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert (metadata["Name"], metadata["Version"]) == ("iec-localqueue", __version__)
    assert "localqueue = localqueue.cli:main" in entry_points and "[pytest11]" in entry_points


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    command = [ROOT / ".venv-binary/bin/python", ROOT / "packaging/distributions.py", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    for path in (SDIST, WHEEL):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
