"""Find the queue or the schedule that an argument names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from localqueue.client.client import Client
from localqueue.core.errors import ErrorResponse
from localqueue.core.models import QueueKey
from localqueue.core.text import nearest, safe


def find_queue(client: Client, argument: str, namespace: str | None = None) -> QueueKey:
    """Return the key of the queue that `NAME` or `NAMESPACE/NAME` means. Raises ErrorResponse."""
    return _find("queue", [(queue["namespace"], queue["name"]) for queue in client.queues()], argument, namespace)


def check_namespace(client: Client, namespace: str) -> None:
    """Check that a service of this name has queues. Raises ErrorResponse."""
    namespaces = {queue["namespace"] for queue in client.queues()}
    if namespace not in namespaces:
        raise _unknown_namespace(namespace, namespaces)


def find_schedule(client: Client, argument: str, namespace: str | None = None) -> QueueKey:
    """Return the key of the schedule that `NAME` or `NAMESPACE/NAME` means. Raises ErrorResponse."""
    keys = [(schedule["namespace"], schedule["name"]) for schedule in client.schedules()["schedules"]]
    return _find("schedule", keys, argument, namespace)


def _find(noun: str, keys: Sequence[QueueKey], argument: str, namespace: str | None) -> QueueKey:
    name = argument
    before, slash, after = argument.partition("/")
    if slash and namespace is None:
        namespace, name = before, after
    matches = [key for key in keys if key[1] == name and namespace in (None, key[0])]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join("/".join(key) for key in matches)
        message = f"several services have a {noun} {safe(name)!r}: {names}"
        raise ErrorResponse(message, f"Use NAMESPACE/{noun.upper()}, such as {'/'.join(matches[0])}.")
    raise _unknown(noun, name, namespace, keys)


def _unknown(noun: str, name: str, namespace: str | None, keys: Sequence[QueueKey]) -> ErrorResponse:
    namespaces = {key[0] for key in keys}
    if namespace is not None and namespace not in namespaces:
        return _unknown_namespace(namespace, namespaces)
    names = {key[1] for key in keys if namespace in (None, key[0])}
    known = ", ".join(nearest(name, names)) or "none"
    return ErrorResponse(f"unknown {noun} {safe(name)!r}; declared: {known}", code=f"unknown_{noun}")


def _unknown_namespace(namespace: str, namespaces: Collection[str]) -> ErrorResponse:
    known = ", ".join(nearest(namespace, namespaces)) or "none"
    return ErrorResponse(f"unknown namespace {safe(namespace)!r}; declared: {known}", code="unknown_namespace")
