"""The catalog that the rules need: the queue under test must have these queues."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "conformance"
RETRY_DELAY_MS = 400
TIMEOUT_MS = 1500
LIMIT = 2
"""The concurrency of the queue that is tested for it."""


@dataclass(frozen=True, slots=True)
class ProbedQueue:
    """A queue that the rules use, with its settings."""

    name: str
    concurrency: int
    retries: int

    @property
    def endpoint(self) -> str:
        """Return its endpoint."""
        return f"/internal/jobs/{self.name}"


RETRYING = ProbedQueue("retrying", 50, 2)
ONCE = ProbedQueue("once", 50, 0)
LIMITED = ProbedQueue("limited", LIMIT, 0)
ORDERED = ProbedQueue("ordered", 1, 1)
BLOCKED = ProbedQueue("blocked", 1, 0)
QUEUES = (RETRYING, ONCE, LIMITED, ORDERED, BLOCKED)


def text(port: int) -> str:
    """Return the catalog as a file; `port` is where the worker listens."""
    queues = "".join(
        f"    - name: {queue.name}\n      endpoint: {queue.endpoint}\n      concurrency: {queue.concurrency}\n"
        f"      retries: {queue.retries}\n      retryDelayMs: {RETRY_DELAY_MS}\n      timeoutMs: {TIMEOUT_MS}\n"
        for queue in QUEUES
    )
    return (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n"
        f'  name: {NAMESPACE}\n  annotations:\n    insureco.io/port: "{port}"\n'
        f"spec:\n  queues:\n{queues}  internalDependencies:\n    - service: iec-queue\n"
    )
