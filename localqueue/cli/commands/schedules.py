"""`localqueue schedules` and `trigger`: list the schedules, and fire one now."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, print_json, with_client, with_colors, with_utc
from localqueue.cli.output import phrases, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat, read_clock
from localqueue.cli.queue_argument import find_schedule
from localqueue.client.client import Client
from localqueue.core.text import cut, safe, sentence
from localqueue.core.times import distance, duration, parse_time

BODY = 300
"""How many characters of a response are shown."""


@click.command()
@as_json
@with_utc
@with_colors
@with_client
def schedules(client: Client, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """List the schedules with their next and their latest firing.

    The clock fires them only under `localqueue up --schedules`.
    """
    listing = client.schedules()
    if is_json:
        print_json(json.dumps(listing))
        return
    if not listing["schedules"]:
        click.echo("no schedules are declared: add them under spec.schedules of the catalog")
        return
    times, now_ms = read_clock(client.clock(), is_utc)
    titles = ("schedule", "cron", "timezone", "endpoint", "next", "latest")
    columns = [Column(title, least=8) for title in titles]
    rows = [_row(schedule, times, now_ms) for schedule in listing["schedules"]]
    for line in table.lines(columns, rows, paint, terminal_width()):
        click.echo(line)
    if not listing["enabled"]:
        click.echo(phrases.NOT_FIRED)


def _row(schedule: dict[str, Any], times: TimeFormat, now_ms: int) -> list[Cell]:
    next_ms = None if schedule["nextAt"] is None else parse_time(schedule["nextAt"])
    when = "-" if next_ms is None else f"{times.moment(next_ms, now_ms)}, {distance(next_ms - now_ms)}"
    last = schedule["last"]
    tone = "good" if last is not None and last["outcome"] == "completed" else "bad"
    ended = Cell("-") if last is None else Cell(_word(last), tone)
    names = (
        f"{schedule['namespace']}/{schedule['name']}",
        schedule["cron"],
        schedule["timezone"],
        schedule["endpoint"],
    )
    return [*(Cell(safe(name)) for name in names), Cell(when), ended]


def _word(firing: dict[str, Any]) -> str:
    return safe(str(firing["status"] or (firing["error"] or {}).get("code") or firing["outcome"]))


@click.command()
@click.argument("name", metavar="SCHEDULE", shell_complete=completion.complete_schedule)
@click.option("--namespace", metavar="NS", help="Namespace of the schedule, if several services have one of this name.")
@as_json
@with_client
def trigger(client: Client, name: str, namespace: str | None, is_json: bool) -> None:
    """Fire a schedule now, and show the response.

    Exits 1 if the response wasn't 2xx. SCHEDULE is a name, or NAMESPACE/NAME. A firing isn't a job and isn't retried.
    """
    key = find_schedule(client, name, namespace)
    fired = client.trigger(*key)
    if is_json:
        print_json(json.dumps(fired))
    else:
        click.echo(f"{safe('/'.join(key))}  {_word(fired)}  {duration(fired['durationMs'])}")
        for line in _ending(fired):
            click.echo(f"  {line}")
    sys.exit(int(fired["outcome"] != "completed"))


def _ending(firing: dict[str, Any]) -> Iterator[str]:
    """Yield the response if there is one, and what the end means, or else the error."""
    if firing["response"] is not None:
        body = firing["response"]["body"].strip()
        yield safe(cut(body, BODY), BODY) if body else "(empty body)"
    if firing["explanation"] is not None:
        yield safe(sentence(firing["explanation"]["text"]), 500)
    elif firing["response"] is None:
        yield safe(firing["error"]["message"], BODY)
