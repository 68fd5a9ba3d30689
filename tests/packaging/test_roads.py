"""The roads of the README: each of its installing lines, with the files of `make dist binary npm` for the names.

Python's lines need pipx and uv, which are in .venv-binary.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localqueue import __version__
from tests.docs.pages import ROOT, write_files
from tests.docs.test_readme import RUN_BY
from tests.packaging.test_distributions import WHEEL

pytestmark = pytest.mark.binary
TOOLS = ROOT / ".venv-binary/bin"
TARBALLS = sorted((ROOT / "dist/npm").glob("*.tgz"))
DEBIAN = Path("/usr/bin/python3")
"""A Python of Debian refuses `pip install` outside of a virtual environment."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a home of its own, and without the virtual environment of the tests."""
    home = tmp_path / "home"
    path = [str(home / ".local/bin"), *os.environ["PATH"].split(os.pathsep)]
    kept = [each for each in path if not each.startswith(str(Path(sys.prefix)))]
    return os.environ | {"HOME": str(home), "PATH": os.pathsep.join(kept), "PIPX_HOME": str(home / "pipx")}


def run(line: str, names: dict[str, str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line of the README with files for the names of packages."""
    command = words(line, names)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def words(line: str, names: dict[str, str]) -> list[str]:
    assert line in RUN_BY
    return [part for word in shlex.split(line) for part in names.get(word, word).split(os.pathsep)]


@contextlib.contextmanager
def a_running_queue(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Run `... localqueue up`; yield the first line that it prints."""
    write_catalog(folder)
    command += ["--port", "0", "--ephemeral"]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # as Ctrl-C does; npx doesn't pass a signal on


def write_catalog(folder: Path) -> None:
    (folder / "catalog-info.yaml").write_text((ROOT / "README.md").read_text().split("```yaml\n")[1].split("```")[0])


def test_the_files_are_those_that_make_writes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("dist", "binary", "npm"):
        assert f"\n{target}: " in makefile
    assert WHEEL.exists()
    assert len(TARBALLS) == 2 and all(path.name.endswith(f"-{__version__}.tgz") for path in TARBALLS)
    assert (ROOT / "dist/localqueue").exists()


def test_pip_installs_the_command_and_the_fixture(tmp_path: Path, env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    inside = env | {"PATH": f"{tmp_path / 'venv/bin'}{os.pathsep}{env['PATH']}"}
    found = run("pip install iec-localqueue", {"iec-localqueue": str(WHEEL)}, tmp_path, inside)
    assert found.returncode == 0, found.stderr
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", "pytest"], check=True, env=inside)
    write_catalog(tmp_path)
    assert write_files("README.md", tmp_path) == ["test_retry.py"]
    pytest_ = [tmp_path / "venv/bin/python", "-m", "pytest", "-q", "test_retry.py"]
    tested = subprocess.run(pytest_, cwd=tmp_path, env=inside, capture_output=True, text=True)
    assert "1 passed" in tested.stdout, tested.stdout
    with a_running_queue([str(tmp_path / "venv/bin/localqueue"), "up"], tmp_path, inside) as line:
        assert line.startswith(f"localqueue {__version__} on http://localhost:")


def test_pipx_installs_the_command_where_pip_refuses(tmp_path: Path, env: dict[str, str]) -> None:
    if not list(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED")):
        pytest.skip("the system's Python isn't externally managed: the road around it was not tested")
    refused = [str(DEBIAN), "-m", "pip", "install", str(WHEEL)]
    assert "externally-managed" in subprocess.run(refused, capture_output=True, text=True, env=env).stderr
    names = {"pipx": str(TOOLS / "pipx"), "iec-localqueue": str(WHEEL)}
    found = run("pipx install iec-localqueue", names, tmp_path, env | {"PIPX_DEFAULT_PYTHON": str(DEBIAN)})
    assert found.returncode == 0, found.stderr
    said = subprocess.run(["localqueue", "--version"], env=env, capture_output=True, text=True)
    assert said.stdout == f"localqueue, version {__version__}\n"


def test_uvx_runs_the_queue_without_installing_it(tmp_path: Path, env: dict[str, str]) -> None:
    command = words(
        "uvx --from iec-localqueue localqueue up", {"uvx": str(TOOLS / "uvx"), "iec-localqueue": str(WHEEL)}
    )
    with a_running_queue(command, tmp_path, env) as line:
        assert line.startswith(f"localqueue {__version__} on http://localhost:")


def test_npm_installs_the_command_and_npx_runs_it(tmp_path: Path, env: dict[str, str]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: its road was not tested")
    names = {"localqueue": os.pathsep.join(map(str, TARBALLS))}
    found = run("npm install --save-dev localqueue", names, tmp_path, env)
    assert found.returncode == 0, found.stderr
    with a_running_queue(words("npx localqueue up", {}), tmp_path, env) as line:
        assert line.startswith(f"localqueue {__version__} on http://localhost:")
