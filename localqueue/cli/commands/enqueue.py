"""`enqueue`: send a job as a service would, and wait for its end if asked to."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from localqueue.cli import completion, json_argument
from localqueue.cli.options import suggestion, with_client
from localqueue.cli.output import phrases
from localqueue.cli.output.progress import Progress
from localqueue.client import decoding
from localqueue.client.client import Client, path_of
from localqueue.core.clock import wait_until
from localqueue.core.text import safe
from localqueue.core.times import parse_time

PERIOD_S = 0.2


@click.command()
@click.argument("queue", shell_complete=completion.complete_queue)
@click.argument("data", metavar=json_argument.FORMS, default="null")
@click.option(
    "--namespace", metavar="NS", help="Of the queue. Default: SERVICE_NAMESPACE, else the only one that has this queue."
)
@click.option("--wait", is_flag=True, help="Wait until the job is finished; exit code 1 if it failed.")
@with_client
def enqueue(client: Client, queue: str, data: str, namespace: str | None, wait: bool) -> None:
    """Enqueue a job as your service would, and print its id.

    Its data is JSON: the argument, a FILE, or standard input (-); without it, null. It is sent as it is.
    """
    text = json_argument.read(data)
    key = _key(client, queue, namespace or os.environ.get("SERVICE_NAMESPACE"))
    id_ = client.enqueue(*key, text)
    click.echo(safe(id_))
    if wait:
        sys.exit(int(_follow(client, id_) != "completed"))


def _key(client: Client, queue: str, namespace: str | None) -> tuple[str, str]:
    if namespace and "/" not in queue:
        return namespace, queue  # the server says what is wrong with it, as production would
    return completion.find_queue(client, queue)


def _follow(client: Client, id_: str) -> str:
    """Return the state in which the job ends; tell meanwhile how far it is, and what it waits for."""
    progress, told = Progress(), set[str]()
    found: dict[str, Any] = {}

    def is_finished() -> bool:
        found.update(client.get(path_of("jobs", id_)))
        if found["finishedAt"]:
            return True
        clock = client.get("/clock")
        for note in _obstacles(found, clock["mode"]):
            if note in told:
                continue
            progress.line(note)
            told.add(note)
        progress.show(_progress(found, parse_time(clock["now"])))
        return False

    try:
        wait_until(is_finished, math.inf, PERIOD_S)
    finally:
        progress.hide()
    click.echo(_end(found), err=True)
    return str(found["state"])


def _obstacles(found: dict[str, Any], mode: str) -> Iterator[str]:
    """Yield why the job would not end by itself, and what to do."""
    if found["held"]:
        yield f"waiting, but the job is held: {safe(phrases.held(found['held']))}; {phrases.remedy(found)}"
    if mode == "virtual":
        drain, advance = suggestion("drain"), suggestion("advance", "5s")
        yield f"waiting, but virtual time stands still: move it elsewhere with `{drain}` or `{advance}`"


def _progress(found: dict[str, Any], now_ms: int) -> str:
    number = f"attempt {found['attempt']}/{found['maxAttempts']}" if found["attempt"] else "no attempt yet"
    return f"{found['shortId']}  {found['state']}  {number}  {phrases.when(found, now_ms)}"


def _end(found: dict[str, Any]) -> str:
    made = decoding.attempt(found["attempts"][-1]) if found["attempts"] else None
    how = f", attempt {made.number}/{made.max_attempts}: {phrases.outcome_word(made)}" if made else ""
    return f"{safe(found['state'] + how)}; more: {suggestion('job', found['shortId'])}"
