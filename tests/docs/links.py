"""Relative links of Markdown pages, and the anchors that headings have on GitHub and on the docs site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def targets(text: str) -> list[str]:
    """Return the relative links of a page, without those in its code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings; a repeated one gets a number."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+)$", _FENCE.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def broken(path: Path, within: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere, or out of a folder."""
    for target in targets(path.read_text()):
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        if not found.exists() or not found.is_relative_to(within):
            yield f"{path.name}: {target}"
        elif anchor and anchor not in anchors(found.read_text()):
            yield f"{path.name}: {target} (no such heading)"
