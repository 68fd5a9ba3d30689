"""The documents say what is true: rules have tests, options and routes are complete, the README's lines work."""

from __future__ import annotations

import dataclasses
import itertools
import re
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from localqueue.cli import main
from localqueue.core import errors
from localqueue.core.settings import OPTIONS, Settings

ROOT = Path(__file__).parents[2]


def test_every_rule_of_the_semantics_is_held_by_a_test() -> None:
    rules = re.findall(r"^\| ([a-z]+\.[a-z0-9-]+) \|", (ROOT / "docs/semantics.md").read_text(), re.MULTILINE)
    held: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for mention in re.findall(r'"""Rule ([^"]+)', path.read_text()):
            held |= set(re.findall(r"[a-z]+\.[a-z0-9-]+", mention.split(":")[0]))
    assert len(rules) > 40
    assert set(rules) - held == set()
    assert held - set(rules) == set()


def test_the_tree_of_the_architecture_has_every_folder_and_the_files_beside_them() -> None:
    tree = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    drawn = {line[4:].split()[0] for line in tree.splitlines() if line.startswith(("├", "└"))}
    below = {line[4:].split()[1] for line in tree.splitlines() if line.startswith("│")}
    package = ROOT / "localqueue"
    assert drawn == {path.name for path in package.iterdir() if path.name != "__pycache__"}
    folders = [path for path in package.glob("*/*/") if path.name != "__pycache__"]
    assert below == {path.name for path in folders}


def test_the_table_of_the_architecture_has_every_module_and_no_other() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("| folder |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1:4] for row in table.splitlines()[2:]]
    folders = list(itertools.accumulate((row[0].strip(" `/") for row in rows), lambda last, name: name or last))
    named = {
        name if "/" in name else f"{folder}/{name}"
        for folder, row in zip(folders, rows, strict=True)
        for name in re.findall(r"`([a-z0-9_/]+[a-z0-9_])`", row[2])
    }
    package = ROOT / "localqueue"
    modules = {str(path.relative_to(package).with_suffix("")) for path in package.glob("*/*.py")}
    assert {name for name in modules if not name.endswith("__init__")} - named == set()
    assert [name for name in named if not list(package.rglob(f"{name}.py"))] == []


def test_every_option_is_a_setting_and_is_in_the_help() -> None:
    assert [option.name for option in OPTIONS] == [field.name for field in dataclasses.fields(Settings)]
    text = CliRunner().invoke(main, ["up", "--help"]).output
    assert all(option.flag_name in text for option in OPTIONS)


GENERATED = runpy.run_path(str(ROOT / "docs/generate.py"))


@pytest.mark.parametrize("name", GENERATED["PAGES"])
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == GENERATED["page"](name), "run `make docs`"


def test_every_rule_of_production_is_sorted_by_its_source() -> None:
    page = (ROOT / "docs/same-as-iec-queue.md").read_text().partition("## Rules of localqueue conformance")[0]
    sorted_ = re.findall(r"^\| ([a-z]+\.[a-z0-9-]+) \|", page, re.MULTILINE)
    named = re.findall(
        r"^\| ((?:catalog|enqueue|deliver|retry|states|schedule)\.[a-z0-9-]+) \|",
        (ROOT / "docs/semantics.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(sorted_) == sorted(named)
    assert [heading for heading in GENERATED["SOURCES"].values() if f"## {heading}\n" not in page] == []


def test_every_error_code_is_documented() -> None:
    text = (ROOT / "docs/http.md").read_text()
    general = (errors.RequestError, errors.Unavailable, errors.Refused)
    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, errors.RequestError | errors.Unavailable):
            assert found in general or f"`{found.code}`" in text, found
