"""The table of docs/how-to-pytest.md: each plugin and framework in a real run of pytest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.testing.compatibility.cases import CASES, QUICK
from tests.testing.runner import Runner

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / ".venv-compat"


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.compat) for name in CASES]
)
def test_the_fixture_works_with(run: Runner, name: str) -> None:
    """Rule testing.compatibility."""
    if name not in QUICK and not PACKAGES.exists():
        pytest.skip("its packages aren't installed; install them with: make test-compat")
    case = CASES[name]
    plugins = [f"-p{plugin}" for plugin in ("localqueue.pytest_plugin", *case.plugins)]
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(PACKAGES)}
    output, counts = run(case.code, "-Wdefault", *plugins, *case.options, env=env, is_forked=False)
    assert counts == {"passed": case.passed}, output


def test_the_page_lists_what_is_tested() -> None:
    page = (ROOT / "docs" / "how-to-pytest.md").read_text()
    table = page.partition("## Compatibility")[2].partition("\n## ")[0]
    assert re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[2:] == list(CASES)
