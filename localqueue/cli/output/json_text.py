"""Indent JSON without changing its numbers, keys and escapes."""

from __future__ import annotations

import re

from localqueue.core.text import safe_json

DEEPEST_INDENT = 40
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s"\[\]{},:]+|"', re.DOTALL)


def indented(text: str) -> str:
    """Return JSON indented, escaped for a terminal."""
    parts: list[str] = []
    depth, before = 0, ""
    for token in _TOKEN.findall(text):
        is_opened, is_closing = before in ("[", "{"), token in ("]", "}")
        depth -= is_closing
        if before == "," or is_opened != is_closing:
            parts.append("\n" + "  " * min(depth, DEEPEST_INDENT))
        parts.append(": " if token == ":" else token)
        depth += token in ("[", "{")
        before = token
    return safe_json("".join(parts))
