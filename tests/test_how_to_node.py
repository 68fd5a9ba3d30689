"""The page docs/how-to-node.md: its code runs as it stands there, with real npm packages and a real `npm test`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localqueue import sockets
from tests.pages import ROOT, write_files

PAGE = "docs/how-to-node.md"
PACKAGES = ROOT / "tests/node/node_modules"
ENV = {name: value for name, value in os.environ.items() if name not in ("IEC_QUEUE_URL", "SERVICE_NAMESPACE")}
ENV["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `localqueue` is there
LEDGER = """\
+0.000s  process-claim#1  1/4  http_error 503  next +5.000s
+5.000s  process-claim#1  2/4  completed 200
+5.000s  send-letter#1    1/2  completed 204
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or not (PACKAGES / "vitest").exists():
        pytest.skip(f"{PAGE} was not tested: `make tests/node/node_modules` could not install its npm packages")
    folder = tmp_path_factory.mktemp("how-to-node")
    assert len(write_files(PAGE, folder)) == 7
    (folder / "package.json").write_text(block("json"))
    (folder / "node_modules").symlink_to(PACKAGES)
    return folder


def block(language: str) -> str:
    """Return the first block in that language that has no file name."""
    found = re.search(rf"^```{language}\n(.*?)^```", (ROOT / PAGE).read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def run(folder: Path, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(command, cwd=folder, env=ENV | (env or {}), capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    return found


def test_the_helper_has_ten_lines(folder: Path) -> None:
    assert len((folder / "queue.js").read_text().splitlines()) <= 10


def test_the_tests_with_node_s_own_runner_pass(folder: Path) -> None:
    """Rule exec.output."""
    found = run(folder, "npm", "test")
    assert "# pass 3" in found.stdout and "# fail 0" in found.stdout
    assert "failed: process-claim#1 " in found.stderr


def test_the_tests_with_vitest_pass(folder: Path) -> None:
    found = run(folder, "npm", "run", "test:vitest")
    assert re.search(r"Tests .*1 passed", found.stdout), found.stdout
    assert LEDGER in found.stderr


def test_the_shell_script_passes_and_its_service_is_waited_for_and_ended(folder: Path) -> None:
    """Rule exec.wait, exec.ends."""
    [listener, *rest] = sockets.bind(None, 0)
    port = str(listener.getsockname()[1])
    for each in (listener, *rest):
        each.close()
    line = re.search(r"^    (localqueue exec .*claims\.sh)$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert line is not None
    found = run(folder, "sh", "-c", line[1], env={"PORT": port})
    assert '"state":"retrying"' in found.stdout
    assert found.stderr.endswith(block("text")), found.stderr
