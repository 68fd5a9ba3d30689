"""Find what the user named: a queue by its name, and what completes a half-typed one."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from localqueue.client.client import Client
from localqueue.client.discovery import find_server
from localqueue.core.errors import ErrorResponse, LocalqueueError
from localqueue.core.text import nearest, safe

HASTE_S = 0.5
"""How long a completion may wait for the server: the user is at the keyboard."""


def find_queue(client: Client, name: str, namespace: str | None = None) -> tuple[str, str]:
    """Return the (namespace, name) of the queue that `NAME` or `NAMESPACE/NAME` means. Raises ClientError."""
    before, slash, after = name.partition("/")
    if slash and namespace is None:
        namespace, name = before, after
    keys = [(each["namespace"], each["name"]) for each in client.get("/queues")["queues"]]
    found = [key for key in keys if key[1] == name and namespace in (None, key[0])]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join("/".join(key) for key in found)
        raise ErrorResponse(f"several services have a queue {safe(name)!r}: {names}", "Write it as NAMESPACE/QUEUE.")
    raise _unknown(name, namespace, keys)


def _unknown(name: str, namespace: str | None, keys: list[tuple[str, str]]) -> ErrorResponse:
    spaces = {key[0] for key in keys}
    if namespace is not None and namespace not in spaces:
        known = ", ".join(nearest(namespace, spaces)) or "none"
        return ErrorResponse(f"unknown namespace {safe(namespace)!r}; known: {known}", code="unknown_namespace")
    names = {key[1] for key in keys if namespace in (None, key[0])}
    known = ", ".join(nearest(name, names)) or "none"
    return ErrorResponse(f"unknown queue {safe(name)!r}; known: {known}", code="unknown_queue")


def complete_queue(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the queues of the running server that begin like this; nothing where there is no server."""
    found = _ask(context, "/queues").get("queues", ())
    names = [(str(each["name"]), f"{each['namespace']} at {each['target']}") for each in found]
    return _items(names, incomplete)


def complete_job(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the short ids of the newest jobs that begin like this."""
    found = _ask(context, "/jobs", id=incomplete or None).get("jobs", ())
    return _items([(str(each["shortId"]), f"{each['queue']} {each['state']}") for each in found], incomplete)


def _ask(context: click.Context, path: str, **chosen: str | None) -> Any:
    try:
        with Client(find_server(context.params.get("url")), patience_s=HASTE_S) as client:
            return client.get(path, **chosen)
    except (LocalqueueError, ValueError):
        return {}


def _items(found: list[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(safe(name), help=safe(text)) for name, text in found if name.startswith(incomplete)]
