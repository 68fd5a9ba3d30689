"""`clock`, `advance`, `drain`, `reset`, `ledger`: time, and what was made in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from localqueue.cli.options import DURATION, as_json, print_json, with_client
from localqueue.cli.output import progress, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.client.client import Client
from localqueue.core.text import counted, fit, safe, safe_json
from localqueue.core.times import moment, offset, parse_time


@click.command()
@as_json
@with_client
def clock(client: Client, is_json: bool) -> None:
    """Show which clock the server runs on, and what time it is there."""
    if is_json:
        print_json(client.text("/clock"))
        return
    found = client.get("/clock")
    moved = f", moved by {offset(int(found['offsetMs']))}" if found["offsetMs"] else ""
    click.echo(f"{safe(found['now'])} ({safe(found['mode'])} clock{moved})")


@click.command()
@click.argument("duration", type=DURATION, required=False)
@click.option("--to-next", is_flag=True, help="Go to the next instant at which something is due.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait for this long without a new job.")
@as_json
@with_client
def advance(client: Client, duration: int | None, to_next: bool, settle: int, is_json: bool) -> None:
    """Move time by DURATION and make what is due by then.

    A DURATION is written 250ms, 5s, 2m, 24h or 7d.
    """
    if (duration is None) != to_next:
        raise click.UsageError("expected either a DURATION like 5s, or --to-next")
    move: dict[str, Any] = {"to": "next"} if to_next else {"ms": duration}
    found = client.post("/clock/advance", {**move, "settleMs": settle}, patience_s=None)
    show(found, is_json)


@click.command()
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait, in real time.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait for this long without a new job.")
@as_json
@with_client
def drain(client: Client, timeout: int, settle: int, is_json: bool) -> None:
    """Go on until no job is left to do.

    That is, until none is queued, running or retrying; held ones don't count. Exit code 1 if it takes too long.
    """
    with progress.showing_jobs(client.url):
        found = client.drain(timeout, settle)
    show(found, is_json)
    if not found["idle"]:
        click.echo("not idle: jobs are still queued, running or retrying", err=True)
        sys.exit(1)


@click.command()
@with_client
def reset(client: Client) -> None:
    """Forget every job and go back to the start of time.

    Pauses and changes of queues and targets are undone too; what is under way is cut off.
    """
    found = client.post("/reset")
    click.echo(f"reset; it is {safe(found['now'])}")


@click.command()
@as_json
@with_client
def ledger(client: Client, is_json: bool) -> None:
    """Show one line per attempt, with times since the start.

    With --json it is JSON Lines.
    """
    text = client.text("/ledger?format=jsonl" if is_json else "/ledger")
    columns = None if is_json else terminal_width()
    for line in text.split("\n")[:-1]:
        shown = safe_json(line) if is_json else safe(line, 1000)
        click.echo(shown if columns is None else fit(shown, columns))


def show(found: dict[str, Any], is_json: bool) -> None:
    """Print what `advance` or `drain` answered."""
    if is_json:
        print_json(json.dumps(found))
        return
    attempts = found["attempts"]
    for line in attempt_lines(attempts, parse_time(found["now"])) if attempts else ():
        click.echo(line)
    click.echo(f"{counted(len(attempts), 'attempt')}; it is {safe(found['now'])}")


def attempt_lines(attempts: Sequence[dict[str, Any]], now_ms: int) -> list[str]:
    """Return a table of attempts."""
    columns = [
        Column("started"),
        Column("queue", least=8),
        Column("job"),
        Column("attempt"),
        Column("outcome", least=10),
        Column("next due"),
    ]
    return table.lines(columns, [_row(each, now_ms) for each in attempts], Painter(False), terminal_width())


def _row(attempt: dict[str, Any], now_ms: int) -> list[Cell]:
    due = attempt["nextDueAt"]
    return [
        Cell(moment(parse_time(attempt["startedAt"]), now_ms)),
        Cell(attempt["queue"]),
        Cell(attempt["jobId"][-8:]),
        Cell(f"{attempt['number']}/{attempt['maxAttempts']}"),
        Cell(f"{attempt['outcome']} {attempt['status'] or ''}".rstrip()),
        Cell(moment(parse_time(due), now_ms) if due else ""),
    ]
