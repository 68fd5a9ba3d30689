"""Make text safe for a terminal, measure it, and find similar words."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 64
"""How many characters of a word are compared: comparing takes quadratic time."""
MOST = 30
"""How many words are compared."""
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def safe(text: str, limit: int = 200) -> str:
    """Escape what could control a terminal (control, bidi, line separators) and cut at `limit` characters."""
    return _UNSAFE.sub(_escape, cut(text, limit))


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def safe_json(text: str) -> str:
    """Escape the same in a JSON text, except line breaks; the JSON keeps its meaning."""
    return _UNSAFE.sub(lambda match: "\n" if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def width(text: str) -> int:
    """Return the width of a safe text in columns of a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fit(text: str, columns: int) -> str:
    """Cut a safe text to at most this many columns."""
    if width(text) <= columns:
        return text
    kept = text[: max(columns - 1, 0)]
    while width(kept) > columns - 1 and kept:
        kept = kept[:-1]
    return (kept + "…")[:columns]


def counted(count: int, noun: str, several: str = "") -> str:
    """Return `1 job`, `2 jobs` or `no jobs`; `several` is the plural if it isn't `noun` and an s."""
    return f"{count or 'no'} {noun if count == 1 else several or noun + 's'}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a full stop, or as it ends a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words, the one most similar to `word` first.

    Of very many, only those that have almost the same letters are compared, and stand before the others.
    """
    letters, ordered = set(word[:LONGEST].lower()), sorted(known)
    if len(ordered) > MOST:
        ordered.sort(key=lambda other: len(letters.symmetric_difference(other[:LONGEST].lower())))
    compared = sorted(ordered[:MOST], key=lambda other: (-_likeness(cut(word, LONGEST), cut(other, LONGEST)), other))
    return compared + ordered[MOST:]


def _likeness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word.lower(), other.lower()).ratio()
