"""What `jobs --by-error` prints: the failed jobs by cause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from localqueue.cli.options import print_json, suggestion
from localqueue.cli.output.terminal import Painter
from localqueue.cli.output.time_format import read_clock
from localqueue.client.client import Client
from localqueue.core.text import counted, safe
from localqueue.core.times import parse_time

Failure = dict[str, Any]


def show(client: Client, namespace: str | None, queue: str | None, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """Print the causes, the most frequent one first, each with the command that retries its jobs."""
    failures = client.failures(namespace, queue)
    if is_json:
        print_json(json.dumps({"failures": failures}, ensure_ascii=False))
        return
    if not failures:
        click.echo("no failed jobs")
        return
    times, now_ms = read_clock(client.clock(), is_utc)
    for group in _causes(failures):
        first, last = min(failure["firstAt"] for failure in group), max(failure["lastAt"] for failure in group)
        span = " to ".join(dict.fromkeys(times.moment(parse_time(at), now_ms) for at in (first, last)))
        for line in _lines(group, span, namespace, paint):
            click.echo(line)


def _causes(failures: list[Failure]) -> list[list[Failure]]:
    """Return the failures of each cause, those of several queues together, the most frequent cause first."""
    causes: dict[tuple[int | None, str], list[Failure]] = {}
    for failure in failures:
        causes.setdefault((failure["status"], failure["cause"]), []).append(failure)
    return sorted(causes.values(), key=lambda group: -_count(group))


def _count(failures: list[Failure]) -> int:
    return sum(int(failure["count"]) for failure in failures)


def _lines(failures: list[Failure], span: str, namespace: str | None, paint: Painter) -> Iterator[str]:
    names = [f"{failure['namespace']}/{failure['queue']}" for failure in failures]
    place = names[0] if len(names) == 1 else counted(len(names), "queue")
    status, summary, pattern = (failures[0][name] for name in ("status", "summary", "pattern"))
    word = "" if status is None else f"{status}  "
    yield f"{paint('bad', counted(_count(failures), 'job'))}  {safe(place)}  {word}{safe(pattern)}"
    if len(names) > 1:
        counts = (f"{failure['count']} in {safe(name)}" for failure, name in zip(failures, names, strict=True))
        yield f"  {', '.join(counts)}"
    selected = ["--queue", names[0]] if len(names) == 1 else ["--namespace", namespace] if namespace else []
    selected += ["--error", pattern, *([] if status is None else ["--status", str(status)])]
    command = suggestion("retry", "--failed", *selected)
    example = "" if pattern == summary else f": {safe(summary)}"
    yield f"  {paint('dim', span)}  {paint('dim', 'such as')} {failures[0]['jobs'][0][-8:]}{example}"
    yield f"  {command}"
