"""Complete half-typed arguments from what the running server has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from localqueue.client.client import Client
from localqueue.client.connect import connect
from localqueue.client.discovery import find_server
from localqueue.core.errors import LocalqueueError
from localqueue.core.text import safe

TIMEOUT_S = 0.5
"""How long a completion may wait for the server: the user is at the keyboard."""


def complete_queue(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the queues that start like this; nothing if no server is running."""
    try:
        with _client(context) as client:
            queues = client.queues()
    except (LocalqueueError, ValueError):
        return []
    return _named(queues, incomplete)


def complete_schedule(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the schedules that start like this; nothing if no server is running."""
    try:
        with _client(context) as client:
            schedules = client.schedules()["schedules"]
    except (LocalqueueError, ValueError):
        return []
    return _named(schedules, incomplete)


def _named(declared: list[dict[str, Any]], incomplete: str) -> list[CompletionItem]:
    count = Counter(entry["name"] for entry in declared)
    names = [
        (
            str(entry["name"]) if count[entry["name"]] == 1 else f"{entry['namespace']}/{entry['name']}",
            f"{entry['namespace']} at {entry['target']}",
        )
        for entry in declared
    ]
    return _items(names, incomplete)


def complete_job(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the short ids of the newest jobs that start like this."""
    try:
        with _client(context) as client:
            jobs: list[dict[str, Any]] = list(client.jobs(50, id=incomplete or None))
    except (LocalqueueError, ValueError):
        return []
    return _items([(str(job["shortId"]), f"{job['queue']} {job['state']}") for job in jobs], incomplete)


def _client(context: click.Context) -> Client:
    return connect(find_server(context.params.get("url")).url, timeout_s=TIMEOUT_S)


def _items(candidates: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(safe(name), help=safe(text)) for name, text in candidates if name.startswith(incomplete)]
