"""`localqueue enqueue`: send a job as a service would."""

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
from localqueue.cli.queue_argument import find_queue
from localqueue.client import decoding
from localqueue.client.client import Client
from localqueue.core.clock import wait_until
from localqueue.core.text import safe
from localqueue.core.times import parse_time

PERIOD_S = 0.2


@click.command()
@click.argument("queue", shell_complete=completion.complete_queue)
@click.argument("data", metavar=json_argument.FORMS, default="null")
@click.option(
    "--namespace",
    metavar="NS",
    help="Namespace of the queue. Default: SERVICE_NAMESPACE, else the only one that has this queue.",
)
@click.option("--wait", is_flag=True, help="Wait until the job has finished; exits 1 unless it completed.")
@with_client
def enqueue(client: Client, queue: str, data: str, namespace: str | None, wait: bool) -> None:
    """Enqueue a job as your service would, and print its ID.

    The data is JSON: the argument, a FILE, or standard input (-). Default: null. It is sent exactly as given.
    """
    text = json_argument.read(data)
    key = _key(client, queue, namespace or os.environ.get("SERVICE_NAMESPACE"))
    id_ = client.enqueue(*key, text)
    click.echo(safe(id_))
    if wait:
        sys.exit(int(_follow(client, id_) != "completed"))


def _key(client: Client, queue: str, namespace: str | None) -> tuple[str, str]:
    if namespace and "/" not in queue:
        return namespace, queue  # the server checks it, as production would
    return find_queue(client, queue)


def _follow(client: Client, id_: str) -> str:
    """Return the final state of a job; show its progress and what blocks it meanwhile."""
    progress, shown = Progress(), set[str]()
    job: dict[str, Any] = {}

    def is_finished() -> bool:
        job.update(client.job(id_))
        if job["finishedAt"]:
            return True
        clock = client.clock()
        for note in _obstacles(job, clock["mode"]):
            if note not in shown:
                progress.line(note)
                shown.add(note)
        progress.show(_progress(job, parse_time(clock["now"])))
        return False

    try:
        wait_until(is_finished, math.inf, PERIOD_S)
    finally:
        progress.hide()
    click.echo(_end(job), err=True)
    return str(job["state"])


def _obstacles(job: dict[str, Any], mode: str) -> Iterator[str]:
    """Yield why the job doesn't finish without help, and what helps."""
    if job["held"]:
        yield f"waiting, but the job is held: {safe(phrases.held(job['held']))}. {phrases.remedy(job)}"
    if mode == "virtual":
        yield f"waiting, but virtual time is paused. In another terminal: {suggestion('drain')}"


def _progress(job: dict[str, Any], now_ms: int) -> str:
    number = f"attempt {job['attempt']}/{job['maxAttempts']}" if job["attempt"] else "no attempts yet"
    return f"{job['shortId']}  {job['state']}  {number}  {phrases.when(job, now_ms)}"


def _end(job: dict[str, Any]) -> str:
    last = decoding.attempt(job["attempts"][-1]) if job["attempts"] else None
    outcome = f", attempt {last.number}/{last.max_attempts}: {phrases.outcome_word(last)}" if last else ""
    return f"{safe(job['state'] + outcome)}. Details: {suggestion('job', job['shortId'])}"
