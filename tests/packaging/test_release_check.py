"""`make release-check`: each check finds what it is for; the whole runs before a release."""

from __future__ import annotations

import json
import runpy
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from localqueue import __version__
from tests.docs.pages import ROOT

RELEASE = runpy.run_path(str(ROOT / "packaging/release_check.py"))
PACKAGE = {"version": "0.2.0", "optionalDependencies": {"localqueue-linux-x64": "0.2.0"}}
CHANGELOG = "# Changelog\n\n## [0.2.0] - 2027-01-31\n\n### Added\n- More.\n\n## [0.1.0] - 2026-11-30\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a tree of version 0.2.0 that can be released."""
    files = {
        "localqueue/__init__.py": '"""Text."""\n\n__version__ = "0.2.0"\n',
        "npm/localqueue/package.json": json.dumps(PACKAGE),
        "CHANGELOG.md": CHANGELOG,
        **{f"tests/upgrades/0.2.0/{name}": "" for name in RELEASE["FIXTURES"]},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=All")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


def problems(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the problems that the checks without a build find, as they are printed."""
    checks: tuple[Any, ...] = RELEASE["CHECKS"][:4]
    code = RELEASE["main"](root, checks)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    found = [line for line in lines if line.startswith("problem  ")]
    assert code == bool(found)
    return [line.removeprefix("problem  ") for line in found]


def write(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_tree_that_can_be_released_has_no_problem(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(root, capsys) == []


def test_every_problem_is_found_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root / "npm/localqueue/package.json", '"localqueue-linux-x64": "0.2.0"', '"localqueue-linux-x64": "0.1.0"')
    write(root / "CHANGELOG.md", "## [0.2.0] - 2027-01-31", "## [Unreleased]")
    (root / "tests/upgrades/0.2.0/ledger.txt").unlink()
    assert problems(root, capsys) == [
        "tree           3 uncommitted: CHANGELOG.md, npm/localqueue/package.json, tests/upgrades/0.2.0/ledger.txt",
        "version        npm/localqueue/package.json says 0.1.0, not 0.2.0",
        "changelog      [Unreleased] has entries: move them into a section [0.2.0]",
        "fixtures       tests/upgrades/0.2.0 lacks ledger.txt: python -m tests.upgrades.record",
    ]


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("[Unreleased]\n\n## [0.2.0] - 2027-01-31", ""),
        ("[0.2.0]", "the newest section is ['[0.2.0]'], not [0.2.0] with its date"),
        ("[0.3.0] - 2027-01-31", "the newest section is ['[0.3.0] - 2027-01-31'], not [0.2.0] with its date"),
    ],
)
def test_the_version_must_be_the_newest_section_with_a_date(
    root: Path, capsys: pytest.CaptureFixture[str], title: str, problem: str
) -> None:
    write(root / "CHANGELOG.md", "[0.2.0] - 2027-01-31", title)
    assert [line[15:] for line in problems(root, capsys) if line.startswith("changelog")] == [problem] * bool(problem)


def test_a_version_with_a_tag_is_released(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(root, "tag", "v0.2.0")
    assert problems(root, capsys) == ["version        0.2.0 is released: the tag v0.2.0 exists"]


def test_the_version_has_one_place_here_too() -> None:
    assert RELEASE["version_of"](ROOT) == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "localqueue.__version__"}}
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
