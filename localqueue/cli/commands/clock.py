"""`localqueue clock`, `advance`, `drain`, `reset`, `ledger`: time and its attempts."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import click

from localqueue.cli import confirmation
from localqueue.cli.options import DURATION, as_json, print_json, with_client, with_utc
from localqueue.cli.output import progress, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat, read_clock
from localqueue.client.client import Client
from localqueue.core.models import JobState
from localqueue.core.text import counted, fit, safe, safe_json
from localqueue.core.times import duration as written
from localqueue.core.times import offset, parse_time


@click.command()
@as_json
@with_utc
@with_client
def clock(client: Client, is_json: bool, is_utc: bool) -> None:
    """Show the server's clock and its time."""
    if is_json:
        print_json(client.clock_text())
        return
    state = client.clock()
    moved = f", moved by {offset(int(state['offsetMs']))}" if state["offsetMs"] else ""
    click.echo(f"{_now(state, is_utc)} ({safe(state['mode'])} clock{moved})")


def _now(clock: dict[str, Any], is_utc: bool) -> str:
    times, now_ms = read_clock(clock, is_utc)
    return times.full(now_ms)


@click.command()
@click.argument("duration", type=DURATION, required=False)
@click.option("--to-next", is_flag=True, help="Advance to the next due time.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait until no job has arrived for this long.")
@as_json
@with_utc
@with_client
def advance(client: Client, duration: int | None, to_next: bool, settle: int, is_json: bool, is_utc: bool) -> None:
    """Advance the clock by DURATION and run everything due by then.

    DURATION is a number with a unit: 250ms, 5s, 2m, 24h or 7d.
    """
    if (duration is None) != to_next:
        raise click.UsageError("give a DURATION such as 5s, or use --to-next")
    result = client.advance(ms=duration, to="next" if to_next else None, settle_ms=settle)
    show(client, result, is_json, is_utc)


@click.command()
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait, in real time.")
@click.option("--settle", type=DURATION, default="0ms", help="Then wait until no job has arrived for this long.")
@as_json
@with_utc
@with_client
def drain(client: Client, timeout: int, settle: int, is_json: bool, is_utc: bool) -> None:
    """Run until all jobs are finished.

    Held jobs don't count. Exits 1 if jobs are unfinished after the timeout.
    """
    with progress.showing_jobs(client.url):
        result = client.drain(timeout, settle)
    show(client, result, is_json, is_utc)
    if not result["idle"]:
        click.echo(f"Error: timed out after {written(timeout)}: {_unfinished(result)}", err=True)
        sys.exit(1)


def _unfinished(result: dict[str, Any]) -> str:
    """Return how many jobs are unfinished, and when the next one is due."""
    jobs = [job for job in result["unfinished"] if not job["held"]]
    states = ", ".join(f"{number} {safe(state)}" for state, number in Counter(job["state"] for job in jobs).items())
    waits = [parse_time(job["dueAt"]) - parse_time(result["now"]) for job in jobs if job["state"] == "retrying"]
    due = f", next due in {written(max(min(waits), 0))}" if waits else ""
    return f"{counted(int(result['unfinishedCount']), 'job')} unfinished ({states}{due})"


@click.command()
@confirmation.with_yes
@with_utc
@with_client
def reset(client: Client, yes: bool, is_utc: bool) -> None:
    """Delete all jobs and restore the initial state.

    This also undoes pauses and changes of queues and targets, and cuts off running attempts.
    """
    confirmation.confirm(client, "Delete", list(JobState), {}, is_sure=yes, rest=" and restore the initial state")
    click.echo(f"Reset. The time is {_now(client.reset(), is_utc)}.")


@click.command()
@as_json
@with_client
def ledger(client: Client, is_json: bool) -> None:
    """List every attempt, one per line, with relative times.

    With --json, prints JSON Lines.
    """
    text = client.ledger_text("jsonl" if is_json else "text")
    columns = None if is_json else terminal_width()
    for line in text.split("\n")[:-1]:
        shown = safe_json(line) if is_json else safe(line, 1000)
        click.echo(shown if columns is None else fit(shown, columns))


def show(client: Client, result: dict[str, Any], is_json: bool, is_utc: bool) -> None:
    """Print the result of `advance` or `drain`."""
    if is_json:
        print_json(json.dumps(result))
        return
    attempts, firings, now_ms = result["attempts"], result["firings"], parse_time(result["now"])
    times = TimeFormat.on(client.clock()["mode"], is_utc)
    for line in _table(attempts, firings, times, now_ms) if attempts or firings else ():
        click.echo(line)
    fired = f", {counted(len(firings), 'firing')}" if firings else ""
    click.echo(f"{counted(len(attempts), 'attempt')}{fired}, now {times.full(now_ms)}")


def _table(
    attempts: Sequence[dict[str, Any]], firings: Sequence[dict[str, Any]], times: TimeFormat, now_ms: int
) -> list[str]:
    """Return a table of attempts and firings by time; at the same time a schedule fires first."""
    columns = [
        Column("started"),
        Column("queue", least=8),
        Column("job"),
        Column("attempt"),
        Column("outcome", least=10),
        Column("next due"),
    ]
    rows = [(firing["firedAt"], _firing_row(firing, times, now_ms)) for firing in firings]
    rows += [(attempt["startedAt"], _row(attempt, times, now_ms)) for attempt in attempts]
    rows.sort(key=itemgetter(0))
    return table.lines(columns, [row for _, row in rows], Painter(False), terminal_width())


def _firing_row(firing: dict[str, Any], times: TimeFormat, now_ms: int) -> list[Cell]:
    started = Cell(times.moment(parse_time(firing["firedAt"]), now_ms))
    name = Cell(f"schedule {firing['namespace']}/{firing['name']}")
    return [started, name, Cell(""), Cell(""), Cell(_outcome(firing)), Cell("")]


def _row(attempt: dict[str, Any], times: TimeFormat, now_ms: int) -> list[Cell]:
    due = attempt["nextDueAt"]
    return [
        Cell(times.moment(parse_time(attempt["startedAt"]), now_ms)),
        Cell(attempt["queue"]),
        Cell(attempt["jobId"][-8:]),
        Cell(f"{attempt['number']}/{attempt['maxAttempts']}"),
        Cell(_outcome(attempt)),
        Cell(times.moment(parse_time(due), now_ms) if due else ""),
    ]


def _outcome(ended: dict[str, Any]) -> str:
    """Return the outcome with its status, or the code of the error as the log has it."""
    if ended["status"] is not None:
        return f"{ended['outcome']} {ended['status']}"
    return str((ended["error"] or {}).get("code") or ended["outcome"])
