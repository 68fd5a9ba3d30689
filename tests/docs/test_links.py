"""The pages refer to each other: links and anchors lead somewhere, and the start page lists every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.links import anchors, broken
from tests.docs.pages import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
OTHERS = [*ROOT.glob("*.md"), *ROOT.glob("sample-service/*.md"), *ROOT.glob("npm/*/*.md")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_links_of_a_page_lead_to_pages_and_headings_of_the_site(path: Path) -> None:
    assert list(broken(path, within=DOCS)) == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_other_pages_lead_somewhere(path: Path) -> None:
    assert list(broken(path, within=ROOT)) == []


def test_the_start_page_lists_every_page_once_under_its_kind() -> None:
    sections = (DOCS / "index.md").read_text().split("\n## ")[1:]
    assert [section.partition("\n")[0] for section in sections] == ["Tutorial", "How-to", "Reference", "Explanation"]
    listed = [re.findall(r"^- \[[^]]+\]\((.+?)\)", section, re.MULTILINE) for section in sections]
    assert sorted(name for names in listed for name in names) == [page.name for page in PAGES if page.stem != "index"]
    assert {page.name for page in PAGES if page.stem.startswith("how-to-")} <= set(listed[1])


def test_pages_have_no_syntax_of_the_generator() -> None:
    for page in PAGES:
        assert not re.search(r"^(?:```|:::)\s*\{", page.read_text(), re.MULTILINE), page.name


def test_a_wrong_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `code` & more\n## Twice\n## Twice\n```\n# not a heading\n```\n")
    assert anchors((tmp_path / "other.md").read_text()) == {"a-code--more", "twice", "twice-1"}
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#twice-1) [b](gone.md) [c](other.md#gone) [d](#e) `[f](g)`\n[h](https://x/y) [i](../x)\n"
    )
    assert list(broken(page, within=tmp_path)) == [
        "page.md: gone.md",
        "page.md: other.md#gone (no such heading)",
        "page.md: #e (no such heading)",
        "page.md: ../x",
    ]
