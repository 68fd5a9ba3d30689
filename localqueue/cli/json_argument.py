"""Read the JSON that a command is given: as an argument, from a file, or from standard input."""

from __future__ import annotations

import sys

import click

from localqueue.core import envelope
from localqueue.core.errors import InvalidJson
from localqueue.core.text import safe

FORMS = "[JSON | @FILE | -]"


def read(given: str) -> str:
    """Return JSON text as it is, byte for byte once encoded. Raises ClickException where it is none."""
    where, raw = _raw(given)
    try:
        return envelope.check_value(raw)
    except InvalidJson as error:
        raise click.UsageError(f"{where} is no JSON: {error.message}") from None


def _raw(given: str) -> tuple[str, bytes]:
    if given == "-":
        return "standard input", sys.stdin.buffer.read()
    if not given.startswith("@"):
        return "the argument", given.encode("utf-8", "surrogateescape")
    path = given[1:]
    try:
        with open(path, "rb") as file:
            return safe(path), file.read()
    except OSError as error:
        raise click.UsageError(f"can't read {safe(path)}: {error.strerror}") from None
