"""Check what must hold before a release, one line for each check: `make release-check`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIXTURES = ("database.sql", "jobs.json", "ledger.txt")


class Problem(Exception):
    """The reason why a check doesn't hold, and a command."""


def run(root: Path, *command: str) -> str:
    """Return the output of a command. Raises Problem with its last lines."""
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if found.returncode:
        last = (found.stdout + found.stderr).strip().splitlines()[-3:]
        raise Problem(f"`{' '.join(command)}` failed: {' / '.join(last)}")
    return found.stdout


def version_of(root: Path) -> str:
    """Return the version, whose one place is localqueue/__init__.py."""
    (found,) = re.findall(r'^__version__ = "(.+)"$', (root / "localqueue/__init__.py").read_text(), re.MULTILINE)
    return str(found)


def check_tree(root: Path) -> str:
    """Check that everything is committed."""
    if changed := run(root, "git", "status", "--porcelain").splitlines():
        raise Problem(f"{len(changed)} uncommitted: {', '.join(line[3:] for line in changed[:3])}")
    return f"committed, at {run(root, 'git', 'rev-parse', '--short', 'HEAD').strip()}"


def check_version(root: Path) -> str:
    """Check that each version that can't be derived is the same, and that it has no tag yet."""
    version = version_of(root)
    package = json.loads((root / "npm/localqueue/package.json").read_text())
    other = {package["version"], *package["optionalDependencies"].values()} - {version}
    if other:
        raise Problem(f"npm/localqueue/package.json says {', '.join(sorted(other))}, not {version}")
    if run(root, "git", "tag", "--list", f"v{version}"):
        raise Problem(f"{version} is released: the tag v{version} exists")
    return version


def check_changelog(root: Path) -> str:
    """Check that the version is the newest section, with a date, and that nothing is left unreleased."""
    version = version_of(root)
    sections = re.split(r"^## ", (root / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0] for section in sections]
    if titles[:1] == ["[Unreleased]"]:
        if re.search(r"^- ", sections[0], re.MULTILINE):
            raise Problem(f"[Unreleased] has entries: move them into a section [{version}]")
        titles.pop(0)
    if not titles or not re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", titles[0]):
        raise Problem(f"the newest section is {titles[:1]}, not [{version}] with its date")
    return titles[0]


def check_fixtures(root: Path) -> str:
    """Check that what this version writes is recorded for the tests of upgrades."""
    folder = root / "tests/upgrades" / version_of(root)
    if missing := [name for name in FIXTURES if not (folder / name).exists()]:
        raise Problem(f"{folder.relative_to(root)} lacks {', '.join(missing)}: python -m tests.upgrades.record")
    return ", ".join(FIXTURES)


def check_documents(root: Path) -> str:
    """Check that what is generated follows from the code."""
    before = run(root, "git", "diff")
    run(root, "make", "docs", "messages")
    if run(root, "git", "diff") != before:
        raise Problem("`make docs messages` changed files: review and commit them")
    return "docs, types of the API and list of messages are current"


def check_site(root: Path) -> str:
    """Check that the docs site builds without warnings."""
    run(root, "make", "site")
    return f"{len(list((root / 'build/site').glob('*.html')))} pages"


def check_distributions(root: Path) -> str:
    """Check that sdist and wheel are equal in two builds, and have the package."""
    wanted = set(run(root, "git", "ls-files", "localqueue").split())
    with tempfile.TemporaryDirectory() as name:
        builds = [Path(name, each) for each in ("first", "second")]
        for folder in builds:
            run(root, sys.executable, "packaging/distributions.py", str(folder))
        first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in builds)
        if different := [each for each in first if first[each] != second.get(each)]:
            raise Problem(f"two builds differ: {', '.join(different)}")
        for path in builds[0].iterdir():
            if missing := wanted - _names(path):
                raise Problem(f"{path.name} lacks {', '.join(sorted(missing)[:3])}")
    return ", ".join(sorted(first))


def _names(path: Path) -> set[str]:
    if path.suffix == ".whl":
        return set(zipfile.ZipFile(path).namelist())
    with tarfile.open(path) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


def check_npm(root: Path) -> str:
    """Check the tarballs that `make npm` has written: version, and what each must have."""
    version = version_of(root)
    wanted = {"localqueue": {"test.mjs", "test.cjs", "test.d.ts", "api.d.ts", "bin/localqueue.cjs", "binary.cjs"}}
    paths = sorted((root / "dist/npm").glob("*.tgz"))
    if len(paths) != 2 or not all(path.name.endswith(f"-{version}.tgz") for path in paths):
        raise Problem(f"dist/npm has {[path.name for path in paths]}: make binary npm")
    for path in paths:
        with tarfile.open(path) as tar:
            files = {name.partition("/")[2] for name in tar.getnames()}
            package = json.load(tar.extractfile("package/package.json"))  # type: ignore[arg-type]
        missing = {"LICENSE", *wanted.get(package["name"], {"localqueue/localqueue"})} - files
        if missing or package["version"] != version:
            raise Problem(f"{path.name} has version {package['version']} and lacks {sorted(missing)}")
    return ", ".join(path.name for path in paths)


def check_binary(root: Path) -> str:
    """Check that the binary that `make binary` has written says its version."""
    said = run(root, str(root / "dist/localqueue"), "--version").strip()
    if said != f"localqueue, version {version_of(root)}":
        raise Problem(f"dist/localqueue says {said!r}: make binary npm")
    return f"{said}, {(root / 'dist/localqueue').stat().st_size / 1e6:.1f} MB"


CHECKS: tuple[Callable[[Path], str], ...] = (
    check_tree,
    check_version,
    check_changelog,
    check_fixtures,
    check_documents,
    check_site,
    check_distributions,
    check_npm,
    check_binary,
)


def main(root: Path = ROOT, checks: tuple[Callable[[Path], str], ...] = CHECKS) -> int:
    """Print a line for each check; return 1 if one doesn't hold."""
    problems = 0
    for check in checks:
        name = check.__name__.removeprefix("check_")
        try:
            print(f"ok       {name:<14} {check(root)}", flush=True)
        except Problem as problem:
            problems += 1
            print(f"problem  {name:<14} {problem}", flush=True)
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main())
