"""The page docs/coming-from.md: its handlers run against the queue, and the rules that it names exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PACKAGES, ROOT, write_files
from tests.docs.test_how_to_npm import PACKAGE, RUN

PAGE = "docs/coming-from.md"
TEXT = (ROOT / PAGE).read_text()
FILES = ["catalog-info.yaml", "queue.js", "letters.js", "photos.js", "imports.js", "orders.js"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("node") is None or not (PACKAGES / ".ready").exists():
        pytest.skip(f"{PAGE} was not tested: `make test` could not install its npm packages (is npm there?)")
    assert write_files(PAGE, tmp_path) == FILES
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "express").symlink_to(PACKAGES / "express")
    (modules / "localqueue").symlink_to(PACKAGE)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    found = subprocess.run(["node", *command], cwd=folder, env=RUN, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_handlers_of_the_page_survive_lost_responses_and_second_jobs(folder: Path) -> None:
    shutil.copy(ROOT / "tests/docs/npm/coming_from.mjs", folder)
    assert run(folder, "--unhandled-rejections=strict", "coming_from.mjs") == "done\n"


def test_the_code_of_the_other_libraries_is_valid(folder: Path) -> None:
    blocks = [text for text in re.findall(r"^```js\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE) if text[:3] != "// "]
    assert len(blocks) == 4
    (folder / "before.mjs").write_text("".join(f"{{\n{block}}}\n" for block in blocks))
    run(folder, "--check", "before.mjs")


def test_each_rule_that_the_page_names_exists() -> None:
    rules = set(re.findall(r"^\| ([a-z]+\.[a-z0-9-]+) \|", (ROOT / "docs/semantics.md").read_text(), re.MULTILINE))
    named = set(re.findall(r"\(`([a-z]+\.[a-z-]+)`\)", TEXT))
    assert len(named) > 10 and named <= rules


def test_the_numbers_that_the_page_translates_are_those_of_its_catalog() -> None:
    catalog = TEXT[TEXT.index("# catalog-info.yaml") : TEXT.index("// queue.js")]
    for there, here in (
        ("attempts: 4", "send-letter"),
        ("maxAttempts: 10", "resize-photo"),
        ("maxReceiveCount: 5", "import-claims"),
    ):
        retries = int(there.split()[-1]) - 1
        assert f"| `{there}` | `retries: {retries}` |" in TEXT
        assert re.search(rf"name: {here}, .*retries: {retries}\b", catalog)
