"""`doctor`: what is right, what is wrong, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from localqueue.cli import block, checkup
from localqueue.cli.checkup import Check
from localqueue.cli.paint import Paint, room
from localqueue.cli.talk import as_json, at_url, coloured, print_json
from localqueue.text import counted

_MARKS = {"ok": ("✓", "good"), "note": ("·", "warn"), "wrong": ("✗", "bad")}
_INDENT = 23


@click.command()
@as_json
@coloured
@at_url
def doctor(url: str | None, is_json: bool, paint: Paint) -> None:
    """Say what is wrong with the set-up and what to do about it.

    It looks at versions, limits, the catalogs of this folder, the server, your services and the environment, and
    needs no running server. Exit code 1 if something is wrong; notes are none.
    """
    found = list(checkup.checks(checkup.look(url, Path.cwd())))
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


def _lines(check: Check, paint: Paint) -> Iterator[str]:
    mark, tone = _MARKS[check.level]
    columns = max((room() or 160) - _INDENT, 20)
    head, *rest = block.lines(check.text, columns, None, "")
    yield f"{paint(tone, f'{mark} {check.level:<5}')}  {check.topic:<11}  {head}"
    yield from (" " * _INDENT + line for line in rest)
    if check.remedy:
        for at, line in enumerate(block.lines(check.remedy, columns - 2, None, "")):
            yield " " * _INDENT + paint("bold", ("  " if at else "→ ") + line)
