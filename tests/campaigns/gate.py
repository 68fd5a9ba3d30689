"""Send requests that the security checks must refuse, with one fault or several: none creates a job or reads one."""

from __future__ import annotations

import itertools
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from localqueue.api.security import SECURITY_HEADERS
from tests.api.foreign_requests import FAULTS, FAULTS_OF_READS, READING, RawRequest, exchange, with_fault
from tests.support import JSON, Server, http, serving, write_catalog

SECRET = "a payload that nobody may read"
CREATING = RawRequest()
PROBE = RawRequest(body=b'{"namespace":"shop","queue":"othre"}')
"""A request for a queue that doesn't exist: it is as long as one that creates a job, so that its head becomes known."""
END = RawRequest("GET", "/_localqueue/jobs", host="evil.example", body=b"")
"""What ends a connection that stays open."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


def requests(count: int, seed: int) -> str:
    """Send every fault alone, then random combinations, until `count` requests are sent."""
    with tempfile.TemporaryDirectory() as folder:
        write_catalog(Path(folder))
        with serving(Path(folder), "--target", "http://127.0.0.1:9", "--ephemeral") as server:
            http.post(f"{server.url}/_localqueue/queues/shop/work/pause", headers=JSON).raise_for_status()
            kept = server.enqueue(SECRET)
            statuses = _send(server, list(itertools.islice(_requests(random.Random(seed)), count)))
            assert [job["id"] for job in server.get("/jobs")["jobs"]] == [kept], "a job was created"
            assert server.job(kept)["state"] == "queued"
    listed = ", ".join(f"{status.decode()}: {number:,}" for status, number in sorted(statuses.items()))
    return f"{listed}; no job created, no payload read"


def _requests(rng: random.Random) -> Iterator[tuple[RawRequest, bool]]:
    """Yield requests, and whether a connection is new or has had a request with a head that is now known."""
    for request, kinds in ((CREATING, tuple(FAULTS)), (READING, FAULTS_OF_READS)):
        yield from ((with_fault(request, fault), True) for kind in kinds for fault in FAULTS[kind])
    while True:
        request, kinds = rng.choice([(CREATING, tuple(FAULTS)), (READING, FAULTS_OF_READS)])
        for kind in rng.sample(kinds, rng.randint(1, 3)):
            request = with_fault(request, rng.choice(FAULTS[kind]))
        yield request, rng.random() < 0.5


def _send(server: Server, requests: list[tuple[RawRequest, bool]]) -> Counter[bytes]:
    statuses = Counter[bytes]()
    for request, is_first in requests:
        sent = bytes(request) + bytes(END)
        before = b"" if is_first else bytes(replace(PROBE, headers=()))
        received = exchange(server.ready["port"], before + sent)
        found = _STATUS.findall(received)
        assert found and all(status.startswith(b"4") for status in found), (sent[:2000], received[:2000])
        assert SECRET.encode() not in received and b"access-control" not in received.lower(), (sent[:2000], received)
        assert _is_guarded(received), (sent[:2000], received[:2000])
        statuses.update(found[-1:])
    return statuses


def _is_guarded(received: bytes) -> bool:
    """Return whether each response of the app has the security headers; the parser's own have a fixed text."""
    *_, last = received.split(b"HTTP/1.1 ")
    return b"Invalid HTTP request received." in last or all(name + b": " in last for name, _ in SECURITY_HEADERS)
