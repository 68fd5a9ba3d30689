"""The page docs/how-to-pytest.md, and the README's test: their code runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, run, write_files
from tests.testing.runner import IMPORTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("how-to-pytest")
    assert len(write_files("docs/how-to-pytest.md", folder)) == 16
    return folder


def test_the_tests_of_the_page_pass_with_flask_fastapi_and_starlette(folder: Path) -> None:
    """Rule testing.frameworks."""
    output = run(folder, "python", "-m", "pytest", "-q", "-Werror", IMPORTED).stdout
    assert re.search(r"^18 passed", output, re.MULTILINE), output


def test_the_tests_of_the_page_pass_in_two_processes_at_once(folder: Path) -> None:
    """Rule testing.xdist."""
    output = run(folder, "python", "-m", "pytest", "-q", "-n", "2").stdout
    assert re.search(r"^18 passed", output, re.MULTILINE), output


def test_the_script_of_the_page_prints_its_ledger(folder: Path) -> None:
    output = run(folder, "python", "script.py").stdout
    assert output.startswith("+0.000s  process-claim#1  1/4  http_error 500  next +5.000s\n")


def test_the_test_of_the_readme_passes_on_the_readme_s_catalog(tmp_path: Path) -> None:
    assert write_files("README.md", tmp_path) == ["test_retry.py"]
    catalog = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert catalog is not None
    (tmp_path / "catalog-info.yaml").write_text(catalog[1])
    output = run(tmp_path, "python", "-m", "pytest", "-q").stdout
    assert re.search(r"^1 passed", output, re.MULTILINE), output
