"""The jobs and requests that the rules look at: what is sent, and how the worker responds."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from localqueue.conformance.catalog import BLOCKED, LIMITED, NAMESPACE, ONCE, ORDERED, RETRYING, ProbedQueue
from localqueue.conformance.worker import Answer

OK, BUSY = Answer(), Answer(503)
LARGE = 1_100_000
"""The size of a body that is over the limit, in bytes."""
ELSEWHERE = "/internal/jobs/elsewhere"
"""Where a redirect leads."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A job: its queue, the JSON text of its data, and the responses to its deliveries; the last one repeats."""

    tag: str
    queue: ProbedQueue
    answers: tuple[Answer, ...] = (OK,)
    data: str = ""

    @property
    def expected(self) -> int:
        """Return how many deliveries follow from the platform's rules."""
        failed = 0
        for number in range(self.queue.retries + 1):
            answer = self.answers[min(number, len(self.answers) - 1)]
            if 200 <= answer.status < 300 and answer.until is None:
                return number + 1
            failed += 1
        return failed

    @property
    def body(self) -> bytes:
        """Return the body of its POST /jobs."""
        data = self.data or json.dumps({"tag": self.tag, "text": "é ☃"})
        names = json.dumps({"namespace": NAMESPACE, "queue": self.queue.name})
        return f'{names[:-1]}, "data": {data}}}'.encode()


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request that must be refused."""

    name: str
    body: bytes
    content_type: str = "application/json"


def job(**changes: Any) -> bytes:
    """Return the body of a correct job, with changes; None removes a field."""
    whole = {"namespace": NAMESPACE, "queue": ONCE.name, "data": {"tag": "refused"}} | changes
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


BYTES = (
    '{"tag":"bytes" , "big":12345678901234567890,"one":1.0,"huge":1E400,"text":"\\u00e9\\/\\ud83d\\ude00",'
    '"b":1,"a":2,"list":[ 1 ,2]}'
)
ABSENT = json.dumps({"namespace": NAMESPACE, "queue": ONCE.name}).encode()


def make_probes(late: threading.Event) -> list[Probe]:
    """Return the probes, in the order in which they are enqueued; `late` lets responses go that come too late."""
    too_late = Answer(until=late)
    return [
        Probe("blocked", BLOCKED, (too_late,)),
        *(Probe(f"limited-{number}", LIMITED, (Answer(is_slow=True),)) for number in range(6)),
        Probe("ordered-0", ORDERED, (BUSY, OK)),
        *(Probe(f"ordered-{number}", ORDERED) for number in range(1, 5)),
        Probe("plain", RETRYING),
        Probe("bytes", ONCE, data=BYTES),
        *(Probe(f"status-{status}", RETRYING, (Answer(status, b""),)) for status in (201, 202, 204)),
        *(Probe(f"status-{status}", RETRYING, (Answer(status), OK)) for status in (400, 404, 409, 429, 500, 503)),
        Probe("success-false", RETRYING, (Answer(body=b'{"success": false}'),)),
        Probe("redirect", RETRYING, (Answer(302, headers=(("Location", ELSEWHERE),)), OK)),
        Probe("closed", RETRYING, (Answer(0), OK)),
        Probe("late", RETRYING, (too_late, OK)),
        Probe("slow", ONCE, (Answer(is_slow=True),)),
        Probe("always-fails", RETRYING, (Answer(500),)),
        Probe("fails-once", ONCE, (Answer(500),)),
        Probe("retry-after", RETRYING, (Answer(503, headers=(("Retry-After", "3600"),)), OK)),
    ]


def make_bad_requests() -> list[BadRequest]:
    """Return the requests that must be refused."""
    return [
        BadRequest("invalid-json", b'{"namespace": "conformance", '),
        BadRequest("no-queue", job(queue=None)),
        BadRequest("no-namespace", job(namespace=None)),
        BadRequest("queue-of-wrong-type", job(queue=["once"])),
        BadRequest("unknown-queue", job(queue="no-such-queue")),
        BadRequest("unknown-namespace", job(namespace="no-such-namespace")),
        BadRequest("text", job(), "text/plain"),
        BadRequest("large", job(data="x" * LARGE)),
    ]
