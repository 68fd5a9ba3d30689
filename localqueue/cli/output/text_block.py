"""Show foreign text of any size: escaped, folded to the terminal's width, cut with a note."""

from __future__ import annotations

import json
from collections.abc import Iterator

from localqueue.cli.output import json_text
from localqueue.core.text import safe, width

TAB = 4


def pretty(text: str, columns: int) -> str:
    """Return JSON indented if it is longer than a line, and any other text unchanged."""
    if (len(text) <= columns and "\n" not in text.strip()) or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return json_text.indented(text)


def lines(text: str, columns: int, limit: int | None, note: str) -> list[str]:
    """Return a text as escaped lines; lines beyond the limit are counted in a note, `… 12 more lines: <note>`."""
    pieces = [piece for line in text.rstrip().split("\n") for piece in _folded(line, columns)]
    if limit is None or len(pieces) <= limit:
        return pieces
    return [*pieces[: limit - 1], f"… {len(pieces) - limit + 1} more lines: {note}"]


def _folded(line: str, columns: int) -> Iterator[str]:
    text, at = safe(line.rstrip("\r").expandtabs(TAB), TAB * len(line) + 1), 0
    while True:
        piece = _fitting(text[at : at + columns], columns)
        yield piece
        at += len(piece)
        if at >= len(text):
            return


def _fitting(piece: str, columns: int) -> str:
    """Return as much of the piece as fits, up to a space near its end if more follows."""
    whole = piece
    while width(piece) > columns and len(piece) > 1:
        piece = piece[:-1]
    space = piece.rfind(" ", len(piece) * 2 // 3)
    return piece[: space + 1] if space > 0 and len(whole) >= columns else piece
