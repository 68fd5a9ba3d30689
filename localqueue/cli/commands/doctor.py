"""`localqueue doctor`: check the setup."""

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
from localqueue.core.text import counted, safe

_MARKS = {"ok": ("✓", "good"), "note": ("·", "warn"), "problem": ("✗", "bad")}
_INDENT = 25


@click.command()
@as_json
@with_colors
@at_url
def doctor(url: str | None, is_json: bool, paint: Painter) -> None:
    """Check your setup and say how to fix problems.

    Checks versions, limits, the catalogs of this folder, the server, your services and the environment. It works
    without a running server. Exits 1 if there are problems; notes don't count.
    """
    checks = diagnostics.run_checks(diagnostics.inspect_setup(url, Path.cwd()))
    if is_json:
        print_json(json.dumps([dataclasses.asdict(check) for check in checks], ensure_ascii=False))
    else:
        for check in checks:
            for line in _lines(check, paint):
                click.echo(line)
    problems = sum(check.level == "problem" for check in checks)
    if not is_json:
        click.echo(f"\n{counted(problems, 'problem')} found" if problems else "\nNo problems found.")
    sys.exit(int(problems > 0))


def _lines(check: Check, paint: Painter) -> Iterator[str]:
    mark, tone = _MARKS[check.level]
    columns = max((terminal_width() or 160) - _INDENT, 20)
    head, *rest = text_block.lines(check.text, columns, None, "")
    yield f"{paint(tone, f'{mark} {check.level:<7}')}  {check.topic:<11}  {head}"
    yield from (" " * _INDENT + line for line in rest)
    if check.fix:  # in one piece, so that a command can be copied
        yield " " * _INDENT + paint("bold", f"→ {safe(check.fix, 1000)}")
