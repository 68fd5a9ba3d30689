"""`clock`, `advance`, `drain`, `reset`, `ledger`: time, and what was made in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from localqueue.cli.talk import DURATION, as_json, print_json, talks
from localqueue.client import Client
from localqueue.text import offset, safe


@click.command()
@as_json
@talks
def clock(client: Client, is_json: bool) -> None:
    """Show which clock the server runs on, and what time it is there."""
    found = client.get("/clock")
    if is_json:
        print_json(found)
        return
    moved = f", moved by {offset(int(found['offsetMs']))}" if found["offsetMs"] else ""
    click.echo(f"{safe(found['now'])} ({safe(found['mode'])} clock{moved})")


@click.command()
@click.argument("duration", type=DURATION, required=False)
@click.option("--to-next", is_flag=True, help="Go to the next instant at which something is due.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait for this long without a new job.")
@as_json
@talks
def advance(client: Client, duration: int | None, to_next: bool, settle: int, is_json: bool) -> None:
    """Move time by DURATION (250ms, 5s, 2m, 24h) and make the attempts that are due by then."""
    if (duration is None) != to_next:
        raise click.UsageError("expected either a DURATION like 5s, or --to-next")
    move: dict[str, Any] = {"to": "next"} if to_next else {"ms": duration}
    found = client.post("/clock/advance", {**move, "settleMs": settle}, patience_s=None)
    show(found, is_json)


@click.command()
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait, in real time.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait for this long without a new job.")
@as_json
@talks
def drain(client: Client, timeout: int, settle: int, is_json: bool) -> None:
    """Go on until no job is queued, running or retrying; exit code 1 if that takes too long."""
    found = client.drain(timeout, settle)
    show(found, is_json)
    if not found["idle"]:
        click.echo("not idle: jobs are still queued, running or retrying", err=True)
        sys.exit(1)


@click.command()
@talks
def reset(client: Client) -> None:
    """Forget every job, attempt, pause and change, and go back to the start of time."""
    found = client.post("/reset")
    click.echo(f"reset; it is {safe(found['now'])}")


@click.command()
@as_json
@talks
def ledger(client: Client, is_json: bool) -> None:
    """Show one line per attempt, in order, with times since the start. --json prints JSON Lines."""
    text = client.text("/ledger?format=jsonl" if is_json else "/ledger")
    click.echo("\n".join(safe(line, 1000) for line in text.split("\n")), nl=False)


def show(found: dict[str, Any], is_json: bool) -> None:
    """Print what `advance` or `drain` answered."""
    if is_json:
        print_json(found)
        return
    for line in attempt_lines(found["attempts"]):
        click.echo(line)
    made = len(found["attempts"])
    click.echo(f"{made} attempt{'s' * (made != 1)}; it is {safe(found['now'])}")


def attempt_lines(attempts: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each attempt."""
    width = max((len(safe(each["queue"])) for each in attempts), default=0)
    return [_line(each, width) for each in attempts]


def _line(attempt: dict[str, Any], width: int) -> str:
    outcome = f"{attempt['outcome']} {attempt['status'] or ''}".rstrip()
    following = f"next {attempt['nextDueAt']}" if attempt["nextDueAt"] else ""
    number = f"attempt {attempt['number']}/{attempt['maxAttempts']}"
    return safe(
        f"{attempt['startedAt']}  {attempt['queue']:<{width}}  {attempt['jobId'][-8:]}  "
        f"{number:<12}  {outcome:<20}  {following}".rstrip()
    )
