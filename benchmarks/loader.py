"""Enqueue jobs as fast as they are accepted, or at a steady rate, and print the times.

A process of its own on bare protocols: `python -m benchmarks.loader '{"url": ..., "count": ...}'`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from benchmarks import http11, jobs, loops


class Load:
    """The jobs to send, and the results."""

    def __init__(self, requests: Iterator[bytes], count: int, rate: float | None) -> None:
        self.requests = requests
        self.left = count
        self.unanswered = count
        self.rate = rate
        self.idle: list[Connection] = []
        self.sent: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.last = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, connection: Connection) -> None:
        """Take an answer; without a rate the connection sends the next job at once."""
        self.statuses[status] += 1
        self.unanswered -= 1
        if self.unanswered == 0:
            self.last = time.monotonic()
            self.over.set_result(None)
        elif self.rate is None:
            self.send(connection)
        else:
            self.idle.append(connection)

    def send(self, connection: Connection) -> None:
        """Send the next job, if there is one."""
        if self.left > 0:
            self.left -= 1
            message = next(self.requests)
            self.sent.append(time.monotonic())
            connection.send(message)

    async def run(self) -> None:
        """Send everything and return when the last answer is in."""
        if self.rate is None:
            while self.idle:
                self.send(self.idle.pop())
        else:
            start, loop = time.monotonic(), asyncio.get_running_loop()
            for n in range(self.left):
                loop.call_later(start + n / self.rate - time.monotonic(), self._send_idle)
        await self.over

    def _send_idle(self) -> None:
        if self.idle:
            self.send(self.idle.pop())
        else:
            self.fail("all connections were busy: the rate could not be held")

    def fail(self, reason: str) -> None:
        """End the load: what it measured is void."""
        if not self.over.done():
            self.over.set_exception(SystemExit(reason))


class Connection(asyncio.Protocol):
    """Send one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._messages = http11.Messages()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.send = cast(asyncio.Transport, transport).write
        self._load.idle.append(self)

    def data_received(self, data: bytes) -> None:
        for head, _ in self._messages.feed(data):
            self._load.answered(int(head[9:12]), self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._load.idle:  # Node closes what was idle for 5 s
            self._load.idle.remove(self)
        elif self._load.unanswered:
            self._load.fail(f"a connection was closed with {self._load.unanswered} jobs to go: {exc}")


def requests(found: dict[str, Any]) -> Iterator[bytes]:
    """Yield the requests of jobs `first`, `first` + 1, ..., to the queues by turns."""
    say = jobs.language(found.get("language", "platform"), found.get("target", ""))
    queues, first = found["queues"], found.get("first", 0)
    for n in range(first, first + found["count"]):
        yield http11.request("POST", *say(n, queues[n % len(queues)], found.get("padding", 0)))


async def main() -> None:
    """Connect, send all jobs, and print the result."""
    found = loops.told()
    wanted = requests(found) if found.get("padding") else iter(list(requests(found)))  # what is small is made ahead
    load = Load(wanted, found["count"], found.get("rate"))
    parts = urlsplit(found["url"])
    for _ in range(found.get("connections", 50)):
        await asyncio.get_running_loop().create_connection(lambda: Connection(load), parts.hostname, parts.port)
    await load.run()
    loops.say(
        first=load.sent[0],
        last=load.last,
        statuses=load.statuses,
        sent=load.sent if load.rate else [],
    )


if __name__ == "__main__":
    loops.run(main())
