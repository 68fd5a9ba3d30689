"""The same job in the format of each system under test."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable

NAMESPACE = "bench"
"""The namespace of queues that are named without one; `service-1/work` is named with its own."""
PADDING = b"claim-lines-"

Job = Callable[[int, str, int], tuple[str, bytes]]
"""Returns path and body of the request that enqueues job `n` in a queue, with `padding` extra bytes."""


def data(n: int, padding: int = 0) -> bytes:
    """Return the data of a job: about a hundred bytes with its number, plus padding."""
    found = {"n": n, "claimId": f"CLM-{n:07}", "policy": {"holder": "A. Moreau", "lines": [1, 2, 3]}, "amount": 1250.5}
    text = json.dumps(found).encode()
    return text if padding == 0 else b'%b, "notes": "%b"}' % (text[:-1], _notes(padding))


def key(queue: str) -> tuple[str, str]:
    """Return namespace and name of a queue."""
    namespace, _, name = queue.rpartition("/")
    return namespace or NAMESPACE, name


@functools.lru_cache(maxsize=1)
def _notes(size: int) -> bytes:
    return (PADDING * (size // len(PADDING) + 1))[:size]


def platform(n: int, queue: str, padding: int) -> tuple[str, bytes]:
    """Return the request of the platform reference."""
    namespace, name = key(queue)
    head = f'{{"namespace": "{namespace}", "queue": "{name}", "data": '
    return "/jobs", head.encode() + data(n, padding) + b"}"


def cloud_tasks(n: int, queue: str, padding: int, target: str = "") -> tuple[str, bytes]:
    """Return the request of Cloud Tasks; `target` is the worker."""
    body = b'{"queue": "%b", "attempt": 1, "data": %b}' % (queue.encode(), data(n, padding))
    task = {"httpRequest": {"url": f"{target}/{queue}", "body": base64.b64encode(body).decode()}}
    return f"/projects/bench/locations/here/queues/{queue}/tasks", json.dumps({"task": task}).encode()


def delivery(n: int, queue: str, padding: int) -> tuple[str, bytes]:
    """Return the delivery itself, for loops that post straight to the worker."""
    return f"/{queue}", b'{"jobId": "%d", "queue": "%b", "attempt": 1, "data": %b}' % (
        n,
        queue.encode(),
        data(n, padding),
    )


def language(kind: str, target: str) -> Job:
    """Return a format by name: `platform`, `cloud_tasks` or `delivery`."""
    if kind == "cloud_tasks":
        return lambda n, queue, padding: cloud_tasks(n, queue, padding, target)
    return {"platform": platform, "delivery": delivery}[kind]
