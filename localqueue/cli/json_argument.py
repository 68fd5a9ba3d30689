"""Read JSON from an argument, a file, or standard input."""

from __future__ import annotations

import sys

import click

from localqueue.core import envelope
from localqueue.core.errors import InvalidJson
from localqueue.core.text import safe

FORMS = "[JSON | @FILE | -]"


def read(argument: str) -> str:
    """Return JSON text exactly as it was given. Raises UsageError if it isn't valid."""
    place, raw = _raw(argument)
    try:
        return envelope.check_value(raw)
    except InvalidJson as error:
        raise click.UsageError(f"{place} isn't valid JSON: {error.message}") from None


def _raw(argument: str) -> tuple[str, bytes]:
    if argument == "-":
        return "standard input", sys.stdin.buffer.read()
    if not argument.startswith("@"):
        return "the argument", argument.encode("utf-8", "surrogateescape")
    path = argument[1:]
    try:
        with open(path, "rb") as file:
            return safe(path), file.read()
    except OSError as error:
        raise click.UsageError(f"can't read {safe(path)}: {error.strerror}") from None
