"""The single binary and the npm tarballs, as a user gets them: `make test-binary`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localqueue import __version__
from localqueue.core.real_time import monotonic
from tests.docs.pages import PACKAGES, ROOT, write_files
from tests.support import http, working

pytestmark = pytest.mark.binary
DIST = ROOT / "dist"
CATALOG = """\
kind: Component
metadata: {name: shop}
spec:
  queues: [{name: work, endpoint: /work}]
  schedules: [{name: nightly, cron: 0 2 * * *, endpoint: /nightly, timezone: America/Denver}]
"""


@pytest.fixture(scope="module")
def binary() -> Path:
    path = DIST / "localqueue"
    assert path.exists(), "run `make binary npm` first"
    return path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment without Python, with a home of its own."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "tar", "gzip", "tail", "mkdir", "mv", "rm", "id", "chmod", "node", "npm", "env", "find"):
        if (found := shutil.which(name)) is not None:
            (tools / name).symlink_to(Path(found).resolve() if name not in ("npm",) else found)
    return {"PATH": str(tools), "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}


@contextlib.contextmanager
def running(binary: Path, folder: Path, env: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [binary, "up", "--port", "0", "--log", "json", *words]
    with subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "work/catalog-info.yaml").write_text(CATALOG)
    yield tmp_path / "work"


def test_it_is_one_file_under_30_mb_that_needs_no_python(binary: Path, folder: Path, env: dict[str, str]) -> None:
    assert binary.stat().st_size < 30e6
    copy = Path(shutil.copy(binary, folder / "lq"))
    found = subprocess.run([copy, "--version"], env=env, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (0, f"localqueue, version {__version__}\n"), found.stderr


def test_doctor_finds_the_fast_modules_within_it(binary: Path, folder: Path, env: dict[str, str]) -> None:
    found = subprocess.run([binary, "doctor"], env=env, cwd=folder, capture_output=True, text=True, timeout=60)
    assert re.search("ok +speed +uvloop .+ and httptools ", found.stdout), found.stdout


def test_it_delivers_shows_its_page_and_knows_time_zones(binary: Path, folder: Path, env: dict[str, str]) -> None:
    with working() as worker, running(binary, folder, env, "--target", worker.url, "--schedules") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        http.post(f"{url}/jobs", json={"namespace": "shop", "queue": "work", "data": 1}).raise_for_status()
        assert json.loads(process.stdout.readline())["outcome"] == "completed"
        assert "<title>localqueue" in http.get(f"{url}/_localqueue/").text
        assert http.get(f"{url}/_localqueue/schedules").json()["schedules"][0]["nextAt"] is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_kill_9_leaves_nothing_in_the_temporary_folder(binary: Path, folder: Path, env: dict[str, str]) -> None:
    with running(binary, folder, env) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.kill()
    assert list(Path(env["TMPDIR"]).iterdir()) == []


def test_many_first_starts_at_once_unpack_it_once(binary: Path, folder: Path, env: dict[str, str]) -> None:
    started = [
        subprocess.Popen([binary, "--version"], env=env, cwd=folder, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert {process.communicate(timeout=60)[0] for process in started} == {f"localqueue, version {__version__}\n"}
    assert len(list((Path(env["HOME"]) / ".cache/localqueue").iterdir())) == 1


def test_a_home_that_can_not_be_written_is_no_obstacle(binary: Path, folder: Path, env: dict[str, str]) -> None:
    gone = env | {"HOME": "/proc/nowhere"}
    found = subprocess.run([binary, "--version"], env=gone, cwd=folder, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    nowhere = gone | {"TMPDIR": "/proc/nowhere"}
    found = subprocess.run([binary, "--version"], env=nowhere, cwd=folder, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "Set XDG_CACHE_HOME to a folder of yours" in found.stderr


def test_its_start_is_close_to_that_of_an_installed_package(binary: Path, folder: Path, env: dict[str, str]) -> None:
    def seconds(*command: str | Path) -> float:
        taken = []
        for _ in range(5):
            began = monotonic()
            subprocess.run(
                [*command, "--version"], env=os.environ | {"HOME": env["HOME"]}, capture_output=True, check=True
            )
            taken.append(monotonic() - began)
        return statistics.median(taken)

    seconds(binary)
    installed = seconds(Path(sys.executable).with_name("localqueue"))
    assert seconds(binary) < 3 * installed + 0.2


def test_the_npm_tarballs_work_in_an_empty_folder_without_python(folder: Path, env: dict[str, str]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the npm tarballs were not tested")
    tarballs = sorted(map(str, (DIST / "npm").glob("*.tgz")))
    assert len(tarballs) == 2
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *tarballs]
    in_folder = {"cwd": folder, "env": env, "capture_output": True, "text": True, "timeout": 120}
    subprocess.run(install, check=True, **in_folder)
    found = subprocess.run(["npm", "exec", "localqueue", "--", "check"], **in_folder)
    assert found.returncode == 0 and "1 file, 1 queue, 1 schedule" in found.stdout, found.stdout + found.stderr
    names = write_files("docs/how-to-npm.md", folder)
    package = json.loads((folder / "package.json").read_text())
    (folder / "package.json").write_text(json.dumps({**package, "type": "module"}))
    for each in PACKAGES.iterdir():
        if not (folder / "node_modules" / each.name).exists() and each.name != ".ready":
            (folder / "node_modules" / each.name).symlink_to(each)
    found = subprocess.run(["node", "--test", names[2]], **in_folder)
    assert "# pass 2" in found.stdout, found.stdout + found.stderr
