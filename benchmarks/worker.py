"""The service: respond to deliveries, and measure when each arrived and how many ran at once.

A process of its own, without a web framework: `python -m benchmarks.worker '{"delay_ms": 0, "failures": 0}'`.
Times are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from benchmarks import http11, loops

_JOB = re.compile(rb'"n": ?(\d+)')
_ATTEMPT = re.compile(rb'"attempt": ?(\d+)')
_OK = http11.response(200, b'{"ok":true}')
_FAILED = http11.response(500, b'{"ok":false}')


@dataclass
class Record:
    """All deliveries; the first `failures` attempts of each job get a 500."""

    delay_s: float
    failures: int
    rows: list[tuple[int, int, float, float]] = field(default_factory=list)
    under_way: Counter[bytes] = field(default_factory=Counter)
    most: Counter[bytes] = field(default_factory=Counter)
    waiters: list[tuple[int, asyncio.Transport]] = field(default_factory=list)

    def arrived(self, path: bytes) -> None:
        """Count one more that is running."""
        self.under_way[path] += 1
        self.most[path] = max(self.most[path], self.under_way[path])

    def answered(self, path: bytes, job: int, attempt: int, arrived: float) -> None:
        """Keep a delivery that has just got its response."""
        self.under_way[path] -= 1
        self.rows.append((job, attempt, arrived, time.monotonic()))
        if self.waiters:
            self.tell_waiters()

    def tell_waiters(self) -> None:
        """Answer those that waited for so many deliveries."""
        due = [transport for count, transport in self.waiters if count <= len(self.rows)]
        self.waiters = [each for each in self.waiters if each[0] > len(self.rows)]
        for transport in due:
            transport.write(http11.response(200, self.summary()))

    def summary(self) -> bytes:
        """Return counts, and the time of the last answer."""
        distinct = {(job, attempt) for job, attempt, _, _ in self.rows}
        busy = [answered - arrived for _, _, arrived, answered in self.rows]
        found = {
            "delivered": len(self.rows),
            "distinct": len(distinct),
            "most": {path.decode(): most for path, most in self.most.items()},
            "last": max((row[3] for row in self.rows), default=0.0),
            "handler_s": sum(busy) / max(len(busy), 1),
        }
        return json.dumps(found).encode()


class Service(asyncio.Protocol):
    """One connection: deliveries, and requests under `/_worker/`."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._messages = http11.Messages()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for head, body in self._messages.feed(data):
            path = head.split(b" ", 2)[1]
            if path.startswith(b"/_worker/"):
                self._question(path)
            else:
                self._delivery(path, body)

    def _delivery(self, path: bytes, body: bytes) -> None:
        job, attempt = _JOB.search(body), _ATTEMPT.search(body)
        found = (int(job[1]) if job else -1, int(attempt[1]) if attempt else 1)
        self._record.arrived(path)
        loop, arrived = asyncio.get_running_loop(), time.monotonic()
        if self._record.delay_s:
            loop.call_later(self._record.delay_s, self._answer, path, *found, arrived)
        else:  # in the next round, so that all that came in this one count as running at once
            loop.call_soon(self._answer, path, *found, arrived)

    def _answer(self, path: bytes, job: int, attempt: int, arrived: float) -> None:
        self._record.answered(path, job, attempt, arrived)
        self._transport.write(_FAILED if attempt <= self._record.failures else _OK)

    def _question(self, path: bytes) -> None:
        """`/_worker/wait/N` responds once N deliveries have got their responses; `/_worker/rows` with all of them."""
        if path == b"/_worker/rows":
            self._transport.write(http11.response(200, json.dumps(self._record.rows).encode()))
            return
        self._record.waiters.append((int(path.rsplit(b"/", 1)[1]), self._transport))
        self._record.tell_waiters()


async def main() -> None:
    """Serve until killed."""
    found = loops.told()
    record = Record(found.get("delay_ms", 0) / 1000, found.get("failures", 0))
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(found.get("ports", 1))]
    for listener in listeners:
        await asyncio.get_running_loop().create_server(lambda: Service(record), sock=listener)
    loops.say(ports=[listener.getsockname()[1] for listener in listeners])
    await asyncio.Event().wait()


if __name__ == "__main__":
    loops.run(main())
