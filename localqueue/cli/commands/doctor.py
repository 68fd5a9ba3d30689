"""`doctor`: what is right, what is wrong, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from localqueue.cli import diagnostics
from localqueue.cli.diagnostics import Check
from localqueue.cli.options import as_json, at_url, print_json, with_colors
from localqueue.cli.output import text_block
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.core.text import counted

_MARKS = {"ok": ("✓", "good"), "note": ("·", "warn"), "wrong": ("✗", "bad")}
_INDENT = 23


@click.command()
@as_json
@with_colors
@at_url
def doctor(url: str | None, is_json: bool, paint: Painter) -> None:
    """Say what is wrong with the set-up and what to do about it.

    It looks at versions, limits, the catalogs of this folder, the server, your services and the environment, and
    needs no running server. Exit code 1 if something is wrong; notes are none.
    """
    found = list(diagnostics.run_checks(diagnostics.inspect_setup(url, Path.cwd())))
    if is_json:
        print_json(json.dumps([dataclasses.asdict(check) for check in found], ensure_ascii=False))
    else:
        for check in found:
            for line in _lines(check, paint):
                click.echo(line)
    wrong = sum(check.level == "wrong" for check in found)
    if not is_json:
        verb = "is" if wrong == 1 else "are"
        click.echo(f"\n{counted(wrong, 'thing')} {verb} wrong" if wrong else "\nnothing is wrong")
    sys.exit(int(wrong > 0))


def _lines(check: Check, paint: Painter) -> Iterator[str]:
    mark, tone = _MARKS[check.level]
    columns = max((terminal_width() or 160) - _INDENT, 20)
    head, *rest = text_block.lines(check.text, columns, None, "")
    yield f"{paint(tone, f'{mark} {check.level:<5}')}  {check.topic:<11}  {head}"
    yield from (" " * _INDENT + line for line in rest)
    if check.remedy:
        for at, line in enumerate(text_block.lines(check.remedy, columns - 2, None, "")):
            yield " " * _INDENT + paint("bold", ("  " if at else "→ ") + line)
