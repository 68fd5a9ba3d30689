"""Turn values into text that is safe and pleasant on a terminal and in JSON."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def safe(text: str, limit: int = 200) -> str:
    """Escape what could steer a terminal (control, bidi, line separators) and cut at `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _UNSAFE.sub(_escape, cut)


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words, the one most like `word` first."""
    return sorted(known, key=lambda other: (-_likeness(word, other), other))


def _likeness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word.lower(), other.lower()).ratio()


def iso(ms: int) -> str:
    """Return a time in ms since the epoch as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def duration(ms: int) -> str:
    """Return a duration in ms for people: `12 ms`, `5.0 s`, `2 min 5 s`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
