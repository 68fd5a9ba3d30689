"""The npm package and its page: the tests of the page run with node:test, vitest and jest; the types are strict."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localqueue import __version__
from localqueue.api.routes.control import document
from tests.docs.pages import ENV, PACKAGES, ROOT, write_files
from tests.support import until

PAGE = "docs/how-to-npm.md"
PACKAGE = ROOT / "npm/localqueue"
BINARY = Path(sys.executable).with_name("localqueue")
RUN = ENV | {"LOCALQUEUE_BINARY": str(BINARY), "CI": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or not (PACKAGES / ".ready").exists():
        pytest.skip(f"{PAGE} was not tested: `make test` could not install its npm packages (is npm there?)")
    folder = tmp_path_factory.mktemp("how-to-npm")
    assert len(write_files(PAGE, folder)) == 5
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    modules = folder / "node_modules"
    modules.mkdir()
    for each in PACKAGES.iterdir():
        if each.name != ".ready":
            (modules / each.name).symlink_to(each)
    (modules / "localqueue").symlink_to(PACKAGE)
    return folder


def node(folder: Path, *command: str, code: int = 0) -> str:
    program, *words = command
    path = str(PACKAGES / ".bin" / program) if program != "node" else "node"
    found = subprocess.run([path, *words], cwd=folder, env=RUN, capture_output=True, text=True, timeout=120)
    assert found.returncode == code, found.stdout + found.stderr
    return found.stdout + found.stderr


def test_the_tests_of_the_page_pass_with_node_test(folder: Path) -> None:
    assert "# pass 2" in node(folder, "node", "--test", "claims.test.js")


def project(folder: Path, tmp_path: Path, test: str) -> Path:
    """Return a project with four copies of a test of the page: in parallel, each has a queue of its own."""
    for name in ("package.json", "node_modules", "catalog-info.yaml"):
        (tmp_path / name).symlink_to(folder / name)
    for number in range(4):
        shutil.copy(folder / test, tmp_path / f"{number}{test}")
    return tmp_path


def test_vitest_finds_and_passes_the_test_of_the_page(folder: Path, tmp_path: Path) -> None:
    limits = ("--testTimeout=60000", "--hookTimeout=60000")
    output = node(project(folder, tmp_path, "claims.spec.js"), "vitest", "run", "--pool=threads", *limits)
    assert re.search(r"Tests .*4 passed", output)


SCRIPTS = Path(__file__).parent / "npm"


def test_jest_passes_the_test_of_the_page_in_four_workers_and_forgotten_queues_end(
    folder: Path, tmp_path: Path
) -> None:
    four = project(folder, tmp_path, "claims.spec.cjs")
    shutil.copy(SCRIPTS / "forgotten.spec.cjs", four)
    output = node(four, "jest", "--workerThreads=false", "-w", "4", "--testTimeout=60000")
    assert "Tests:       5 passed" in output and "did not exit" not in output
    [pid] = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    until(lambda: has_ended(pid), "the queue that was not closed has ended")


def run_script(folder: Path, name: str) -> str:
    shutil.copy(SCRIPTS / name, folder / name)
    return node(folder, "node", "--unhandled-rejections=strict", name)


def test_the_helper_does_what_the_page_says(folder: Path) -> None:
    output = run_script(folder, "helper.mjs")
    assert output == "done\n"


def test_a_drain_that_does_not_end_says_what_is_left(folder: Path) -> None:
    run_script(folder, "unfinished.mjs")


def test_a_wrong_catalog_and_a_forgotten_close_are_no_trouble(folder: Path) -> None:
    output = run_script(folder, "forgotten.mjs")
    until(lambda: has_ended(int(output)), "the queue has ended")


def has_ended(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return not path.exists() or "Z" in path.read_text().split(")")[1][:3]


def test_the_types_are_those_of_the_api_and_pass_strictly(folder: Path) -> None:
    (folder / "openapi.json").write_text(json.dumps(document()))
    node(folder, "openapi-typescript", "openapi.json", "-o", "api.d.ts")
    assert (folder / "api.d.ts").read_text() == (PACKAGE / "api.d.ts").read_text(), "run `make docs`"
    for name in ("typed.mts", "tsconfig.json"):
        shutil.copy(SCRIPTS / name, folder / name)
    node(folder, "tsc")


def test_the_command_of_the_package_runs_the_binary_with_its_signals_and_exit_code(folder: Path) -> None:
    command = ("node", "node_modules/localqueue/bin/localqueue.cjs")
    assert node(folder, *command, "--version") == f"localqueue, version {__version__}\n"
    assert "did you mean jobs" in node(folder, *command, "jbos", code=2)
    words = [*command, "up", "--port", "0", "--ephemeral", "--log", "json"]
    with subprocess.Popen(words, cwd=folder, env=RUN, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(15)
        assert process.wait(30) == 0


def test_a_missing_platform_is_explained(folder: Path) -> None:
    env = {name: value for name, value in RUN.items() if name != "LOCALQUEUE_BINARY"}
    command = ["node", "node_modules/localqueue/bin/localqueue.cjs", "up"]
    found = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "npm install --include=optional" in found.stderr and "    at " not in found.stderr


def test_the_package_has_the_version_of_localqueue_and_no_scripts() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert package["version"] == __version__ and "scripts" not in package
    assert set(package["optionalDependencies"].values()) == {__version__}
