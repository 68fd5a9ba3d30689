"""Say in one line why an attempt failed, in the handler's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from localqueue.core import html_text
from localqueue.core.models import Outcome, Response
from localqueue.core.text import cut, safe

LONGEST = 160
"""How many characters a summary has at most."""
READ = 16 * 1024
"""How much of a body is looked at, in bytes."""
DEEPEST = 8
"""How many levels of JSON are looked at: a body may be nested thousands of levels deep."""
FIELDS = ("message", "error", "detail", "title", "reason")
PLACES = ("path", "loc", "param", "instancePath")
"""The fields of a validation error that say where the payload is wrong."""
LONGEST_PLACE = 60
EMPTY_TITLE = "Error"
"""The title of every error page of Express; the message follows it."""
_SPACE = re.compile(r"\s+")
_COLOR = re.compile("\x1b\\[[0-9;]*m")  # in the messages of Node's test assertions, for one
_STACK_LINE = re.compile(r"^\s+at |^\s+File \"")
_VARIABLE = re.compile(r"([0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-fA-F]+|\b[0-9a-fA-F]{12,}\b|\d+(?:\.\d+)*|#)")


def summarize(outcome: Outcome) -> str | None:
    """Return why an attempt failed, at most LONGEST characters, or None if it didn't fail.

    From JSON the message, after the place of a validation error, from HTML the first words that aren't the title of
    Express, from a stack trace the exception, else the first line; without a response the error.
    """
    if outcome.error is None or not outcome.kind.is_counted:
        return None
    text = _of_response(outcome.response) if outcome.response is not None else ""
    return _line(text or outcome.error.message)


def group_key(summary: str | None) -> str:
    """Return a summary with numbers and IDs replaced, so that failures with the same cause have the same key."""
    return _VARIABLE.sub("#", summary or "")


def pattern(summaries: Sequence[str]) -> str:
    """Return what summaries with the same key have in common: `#` stands for the numbers and IDs that differ.

    It has the same key, so that it selects the same jobs.
    """
    example = summaries[0]
    columns = zip(*map(_VARIABLE.split, summaries), strict=True)
    common = "".join(parts[0] if len(set(parts)) == 1 else "#" for parts in columns)
    return common if group_key(common) == group_key(example) else example


def _of_response(response: Response) -> str:
    text = response.body[:READ].decode("utf-8", "replace").strip()
    content_type = dict(response.headers).get("content-type", "")
    if content_type.startswith("text/html") or text[:9].lower().startswith(("<!doctype", "<html")):
        return _of_text(html_text.as_text(text).removeprefix(f"{EMPTY_TITLE}\n"))
    if text[:1] in ("{", "["):
        return _of_json(text)
    return _of_text(text)


def _of_json(text: str) -> str:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return _of_text(text)
    return _message(content) or text


def _message(content: Any, levels: int = DEEPEST) -> str:
    """Return the first text under one of the usual names: {"error": {"message": ...}}, {"detail": [{"msg": ...}]}."""
    if isinstance(content, str):
        return content
    if levels == 0:
        return ""
    if isinstance(content, list):
        return next((text for part in content[:3] if (text := _placed(part, _message(part, levels - 1)))), "")
    return next((text for part in _parts(content) if (text := _message(part, levels - 1))), "")


def _parts(content: Any) -> list[Any]:
    """Return where a message may be, each part once: twice at each level would take forever."""
    if not isinstance(content, dict):
        return []
    names: tuple[str, ...] = (*FIELDS, "msg", "errors", "issues")
    if isinstance(content.get("error"), dict):
        names = ("error", *(name for name in names if name != "error"))
    return [content.get(name) for name in names]


def _placed(error: Any, message: str) -> str:
    """Return the message of an element of a list, after the place in the payload that a validator says is wrong."""
    place = cut(_place(error), LONGEST_PLACE)
    is_said = re.search(rf"\b{re.escape(place)}\b", message)
    return message if not place or not message or is_said else f"{place}: {message}"


def _place(error: Any) -> str:
    """Return `items.0.id`, as zod, pydantic, express-validator and ajv say it in turn, or an empty text."""
    if not isinstance(error, dict):
        return ""
    place = next((error[name] for name in PLACES if error.get(name)), "")
    parts = place.strip("/").split("/") if isinstance(place, str) else place if isinstance(place, list) else []
    named = [str(part) for part in parts[:DEEPEST] if isinstance(part, str | int)]
    return ".".join(named[1:] if named[:1] == ["body"] else named)


def _of_text(text: str) -> str:
    """Return the line of a text that says most: the last one of a Python traceback, else the first."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines[:5]):
        return next((line for line in reversed(lines) if not line.startswith((" ", "\t"))), lines[-1])
    return next((line for line in lines if not _STACK_LINE.match(line)), "")


def _line(text: str) -> str:
    line = _SPACE.sub(" ", _COLOR.sub("", text)).strip()
    return cut(safe(line, LONGEST), LONGEST)  # escaped here, what a person copies from a terminal selects the same jobs
