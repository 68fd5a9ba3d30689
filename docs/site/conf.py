"""The settings of the docs site, which Sphinx builds from docs/: `make site`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from localqueue import __version__  # noqa: E402

project = "localqueue"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["site"]
myst_heading_anchors = 4
"""As on GitHub, so that a link to a heading works in both places."""
html_theme = "furo"
html_title = f"localqueue {__version__}"
html_show_copyright = html_show_sphinx = html_copy_source = html_show_sourcelink = html_use_index = False
DRAWING = Path(sys.prefix) / "package/dist/mermaid.min.js"
"""Draws the diagram of semantics.md in the browser; without it, the diagram is shown as text."""
html_static_path = [str(DRAWING)] if DRAWING.exists() else []


def add_navigation(app: Any, docname: str, source: list[str]) -> None:
    """Append the navigation to the start page, so that the page itself needs no syntax of Sphinx."""
    if docname == "index":
        source[0] += "\n" + navigation(source[0])


def navigation(text: str) -> str:
    """Return a hidden table of contents for each heading that has a list of pages."""
    trees = []
    for section in text.split("\n## ")[1:]:
        heading, _, content = section.partition("\n")
        pages = re.findall(r"^- \[[^]]+\]\(([\w-]+)\.md\)", content, re.MULTILINE)
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {heading}", *pages, "```\n"]))
    return "\n".join(trees)


def prepare_diagrams(app: Any, doctree: Any) -> None:
    """Mark diagrams for the script that draws them."""
    for block in doctree.findall(lambda node: node.get("language") == "mermaid" if hasattr(node, "get") else False):
        block["language"] = "text"
        block["classes"].append("mermaid-source")


def add_drawing(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the script on pages with a diagram."""
    if DRAWING.exists() and "mermaid-source" in context.get("body", ""):
        app.add_js_file(DRAWING.name)
        app.add_js_file(None, body=START)


START = """
addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll(".mermaid-source")) {
    const drawing = document.createElement("pre");
    drawing.className = "mermaid";
    drawing.textContent = block.textContent;
    block.replaceWith(drawing);
  }
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  mermaid.initialize({ startOnLoad: false, theme: isDark ? "dark" : "neutral" });
  mermaid.run();
});
"""


def setup(app: Any) -> None:
    """Connect the functions above."""
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", prepare_diagrams)
    app.connect("html-page-context", add_drawing)
