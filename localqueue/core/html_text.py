"""Extract the text of HTML: frameworks put the message and the stack of an exception into a page.

It cuts out tags instead of parsing, because a parser would need quadratic time for a malicious page.
"""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*|!)[^<>]*>")
_SPACE = re.compile(r"[ \t\r\n]+")
_HIDDEN = ("script", "style")
_INLINE = frozenset((
    "a", "abbr", "b", "code", "em", "i", "kbd", "q", "s", "samp", "small", "span", "strong", "sub", "sup",
    "td", "th", "tt", "u", "var", "!",
))  # fmt: skip


def as_text(page: str) -> str:
    """Return the words of a page, one line per block; the page itself if it has no words."""
    lines = html.unescape("".join(_parts(page))).replace("\xa0", " ").split("\n")
    lines = [line.rstrip() for line in lines if line.strip()]
    distinct = [line for before, line in zip(["", *lines], lines, strict=False) if line != before]
    return "\n".join(distinct) or page


def _parts(page: str) -> list[str]:
    """Return text and line breaks; white space is kept only inside `pre`."""
    text, *rest = _TAG.split(page)
    parts, within = [_SPACE.sub(" ", text)], ""
    for tag, text in zip(rest[::2], rest[1::2], strict=True):
        name = tag.lower().lstrip("/")
        if name in (*_HIDDEN, "pre"):
            within = "" if tag.startswith("/") else name
        if name not in _INLINE:
            parts.append("\n")
        if within not in _HIDDEN:
            parts.append(text if within == "pre" else _SPACE.sub(" ", text))
    return parts
