"""What `jobs --by-error` prints: the failed jobs by cause."""

from __future__ import annotations

import json
from typing import Any

import click

from localqueue.cli.options import print_json, suggestion
from localqueue.cli.output.terminal import Painter
from localqueue.cli.output.time_format import TimeFormat
from localqueue.client.client import Client
from localqueue.core.text import counted, safe
from localqueue.core.times import parse_time


def show(client: Client, namespace: str | None, queue: str | None, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """Print the causes, the most frequent one first, each with the command that retries its jobs."""
    found = client.failures(namespace, queue)
    if is_json:
        print_json(json.dumps({"failures": found}, ensure_ascii=False))
        return
    if not found:
        click.echo("no failed jobs")
        return
    clock = client.clock()
    times, now_ms = TimeFormat.on(clock["mode"], is_utc), parse_time(clock["now"])
    for failure in found:
        for line in _lines(failure, times, now_ms, paint):
            click.echo(line)


def _lines(failure: dict[str, Any], times: TimeFormat, now_ms: int, paint: Painter) -> list[str]:
    where = f"{failure['namespace']}/{failure['queue']}"
    status = "" if failure["status"] is None else f" {failure['status']}"
    first, last = (times.moment(parse_time(failure[name]), now_ms) for name in ("firstAt", "lastAt"))
    span = last if first == last else f"{first} to {last}"
    error = ("--error", failure["summary"]) if failure["summary"] else ()
    command = suggestion("retry", "--failed", "--queue", where, *error)
    return [
        f"{paint('bad', counted(failure['count'], 'job'))}  {safe(where)}{status}  {safe(failure['summary'])}",
        f"  {paint('dim', span)}  {paint('dim', 'such as')} {failure['jobs'][0][-8:]}  {command}",
    ]
