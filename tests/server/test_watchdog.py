"""No input holds the event loop up, and none leaves much in memory.

Hostile requests are sent by the campaign `requests`; here are the inputs that need a state, and what stays.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.campaigns import hostile
from tests.campaigns.endurance import flat, resources
from tests.campaigns.responses import hard_body
from tests.campaigns.watched import Watched, post, watching
from tests.server.test_hostile_bodies import BODIES
from tests.support import http, until, working, write_catalog

DEAD = ("--target", "http://127.0.0.1:9")
QUEUES = 400
LIMIT_MS = 35.0
"""How long a step of the event loop may take here, in CPU time: three times what the slowest took, 11 ms."""


def test_no_response_of_a_handler_holds_up_the_event_loop(tmp_path: Path) -> None:
    rng = random.Random(1)
    bodies = [*BODIES.values(), *(hard_body(rng, 2 ** (number % 13)) for number in range(52))]
    write_catalog(tmp_path, retries=0, concurrency=50)
    with (
        working(lambda job: (500, bodies[job["data"]], {})) as worker,
        watching(tmp_path, "--target", worker.url) as it,
    ):
        for number in range(len(bodies)):
            it.server.enqueue(number)
        until(lambda: it.server.get("/status")["counts"]["failed"] == len(bodies), "all jobs have failed")
        it.settle("the responses")
        for path in ("/jobs?details=true", "/jobs", "/failures", "/ledger", "/jobs?q=error", "/metrics", "/status"):
            assert http.get(f"{it.server.url}/_localqueue{path}").status_code == 200
            it.settle(path)
        it.check(LIMIT_MS)
        before = it.longest_ms
        it.send("many objects", hostile.request("POST", "/jobs", hostile.LARGE["many objects"]))
        it.settle("many objects")
        assert it.longest_ms > before + 2, "the probe doesn't see a long step"


def test_neither_an_edit_of_a_large_catalog_nor_an_unknown_name_holds_up_the_event_loop(tmp_path: Path) -> None:
    name = "q" * 100
    more = "".join(f"    - {{name: {name}{number}, endpoint: /q}}\n" for number in range(QUEUES))
    path = write_catalog(tmp_path)
    path.write_text(path.read_text() + more)
    with watching(tmp_path, *DEAD) as watched:
        for body in (
            b'{"namespace":"shop","queue":"%b"}' % (name.encode() + b"x"),
            b'{"namespace":"x","queue":"work"}',
        ):
            assert watched.send("an unknown name", hostile.request("POST", "/jobs", body)) == 404
        watched.settle("an unknown name")
        path.write_text(path.read_text() + "    - {name: late, endpoint: /late}\n")
        until(lambda: any(event["event"] == "catalog_changed" for event in watched.server.events), "the edit is seen")
        watched.settle("an edit")
        watched.server.enqueue(queue="late")
        watched.check(LIMIT_MS)


LONG = 100_000
MANY = 200
REPEATED: dict[str, Callable[[int], tuple[str, bytes]]] = {
    "unknown keys": lambda n: ("/jobs", b'{"namespace":"shop","queue":"work","%d%b":1}' % (n, b"k" * LONG)),
    "unknown queues": lambda n: ("/jobs", b'{"namespace":"shop","queue":"%d%b"}' % (n, b"q" * 100)),
    "unknown namespaces": lambda n: ("/jobs", b'{"namespace":"%d","queue":"%b"}' % (n, b"q" * LONG)),
    "invalid JSON": lambda n: ("/jobs", b'{"data":"%d%b' % (n, b"x" * LONG)),
    "unknown words": lambda n: ("/_localqueue/faults", b'{"queue":"work","outcomes":["%d%b"]}' % (n, b"w" * 60_000)),
    "unknown filters": lambda n: ("/_localqueue/jobs/retry", b'{"%d%b":1}' % (n, b"f" * 60_000)),
    "foreign summaries": lambda n: ("/_localqueue/jobs/retry", b'{"summary":"%d%b"}' % (n, b"s" * 60_000)),
    "paths": lambda n: (f"/{n}{'p' * 8000}", b"{}"),
    "parameters": lambda n: (f"/_localqueue/drain?{n}{'p' * 8000}", b"{}"),
}
"""Requests that differ each time."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_no_request_leaves_much_in_memory(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with watching(tmp_path, "--ephemeral", *DEAD) as watched, contextlib.closing(watched.connected()) as connection:
        assert post(connection, b"{}", "/_localqueue/queues/shop/work/pause")[0] == 200
        for name, make in REPEATED.items():
            _repeat(watched, connection, name, make, range(MANY // 10))
        before = resources(watched.server)
        for name, make in REPEATED.items():
            _repeat(watched, connection, name, make, range(MANY // 10, MANY))
        assert flat(before, resources(watched.server))
        watched.settle("the last request")
        watched.check(LIMIT_MS)


def _repeat(
    watched: Watched, connection: HTTPConnection, name: str, make: Callable[[int], tuple[str, bytes]], numbers: range
) -> None:
    for number in numbers:
        path, body = make(number)
        assert post(connection, body, path)[0] < 500
        watched.look(name)
