"""Send damaged requests and read damaged catalogs: no 5xx, no traceback, and the server keeps answering."""

from __future__ import annotations

import http.client
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from localqueue.catalog import linter, loader
from localqueue.core.errors import CatalogError
from tests.support import Server, serving, write_catalog

BODIES = [
    b'{"namespace": "shop", "queue": "work", "data": {"claim": 7, "list": [1, 2.50, "\\u00e9"]}}',
    b'{"queue":"work","namespace":"shop"}',
    b'{"data": null, "queue": "other", "namespace": "shop", "more": {"a": [[[]]]}}',
]
CATALOGS = sorted((Path(__file__).parents[2] / "docs").glob("check-rules.md"))
PIECES = [
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"{",
    b"}",
    b"[" * 50,
    b"9" * 40,
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"1E999",
    b":",
    b",",
]
_JOB = b'{"namespace":"shop","queue":"work"'
_SIZE = 1_000_000
LARGE = [
    b'{"namespace":"shop","queue":"%b"}' % (b"w" * _SIZE),
    b'{"namespace":"%b","queue":"work"}' % (b"s" * _SIZE),
    b'%b,"%b":1}' % (_JOB, b"k" * _SIZE),
    _JOB + b"".join(b',"key%d":1' % number for number in range(_SIZE // 16)) + b"}",
    b'{"queue":"work"' + b"".join(b',"namespac%d":1' % number for number in range(900)) + b"}",
    _JOB + b',"a":1' * (_SIZE // 6) + b"}",
    b'%b,"data":%b}' % (_JOB, b"9" * _SIZE),
    b'%b,"data":"%b"}' % (_JOB, b"\\ud800" * (_SIZE // 6)),
    b'%b,"data":[%b1]}' % (_JOB, b"{}," * (_SIZE // 3)),
    b'%b,"data":[%b1]}' % (_JOB, b"1e1," * (_SIZE // 4)),
    b'%b,"data":%b' % (_JOB, b"[" * _SIZE),
    b'%b,"data":"%b' % (_JOB, b"\\\\" * (_SIZE // 2)),
    b" " * _SIZE + b'{"namespace":"shop","queue":"work"}',
]
"""Bodies of almost 1 MiB that are expensive to read."""
STALL_MS = 100.0
"""A request may keep the event loop busy for this long, in CPU time, because a busy machine delays everything."""


def mutated(rng: random.Random, text: bytes) -> bytes:
    """Return a text with one to four changes: bytes cut out, doubled, or replaced."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        end = min(at + rng.randint(0, 6), len(text))
        text = text[:at] + rng.choice([*PIECES, text[at:end] * 2, bytes([rng.randrange(256)])]) + text[end:]
    return text


def requests(count: int, seed: int) -> str:
    """Send all large bodies and `count` damaged ones to POST /jobs, with a good one after each hundred."""
    with tempfile.TemporaryDirectory() as name:
        write_catalog(Path(name), retries=0)
        statuses, longest = _send(Path(name), count, random.Random(seed))
    assert longest < STALL_MS, f"a request took {longest:.0f} ms of the event loop's CPU time"
    listed = ", ".join(f"{status}: {number:,}" for status, number in sorted(statuses.items()))
    return f"{listed}; the longest took {longest:.1f} ms of the event loop's CPU time"


def _send(folder: Path, count: int, rng: random.Random) -> tuple[dict[int, int], float]:
    """Return how often each status came, and how long the longest request kept the event loop busy, in ms."""
    statuses, longest = dict[int, int](), 0.0
    with serving(folder, "--ephemeral") as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        for body, is_good in _bodies(count, rng):
            began = _loop_cpu_ms(server)
            status = _post(connection, body)
            longest = max(longest, _loop_cpu_ms(server) - began)
            assert status < 500 and (status == 201 or not is_good), (status, body[:1000])
            statuses[status] = statuses.get(status, 0) + 1
        connection.close()
        _check_log(server)
    return statuses, longest


def _bodies(count: int, rng: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Yield the bodies, and whether each one must be accepted."""
    yield from ((body, False) for body in LARGE)
    for number in range(count):
        is_good = number % 100 == 0
        yield rng.choice(BODIES) if is_good else mutated(rng, rng.choice(BODIES)), is_good


def _loop_cpu_ms(server: Server) -> float:
    """Return the CPU time of the server's main thread in ms, or 0 on a system without /proc."""
    path = Path(f"/proc/{server.process.pid}/schedstat")
    return int(path.read_text().split()[0]) / 1e6 if path.exists() else 0.0


def _post(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    assert isinstance(json.loads(content), dict), content
    return response.status


def _check_log(server: Server) -> None:
    texts = [event.get("message", "") for event in server.events if event["event"] == "warning"]
    assert not any("internal error" in text for text in texts), texts


def catalogs(count: int, seed: int) -> str:
    """Read `count` damaged catalogs: each gives a catalog or findings, and nothing else."""
    rng, valid = random.Random(seed), 0
    texts = [part.encode() for page in CATALOGS for part in page.read_text().split("```yaml\n")[1:]]
    bases = [b"kind: Component\nmetadata: {name: x}\n" + text.partition(b"```")[0] for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog-info.yaml"
        for _ in range(count):
            path.write_bytes(mutated(rng, rng.choice(bases)))
            linter.lint([path])
            try:
                loader.load([path])
                valid += 1
            except CatalogError as error:
                assert all(str(finding) for finding in error.findings)
    return f"{count:,} catalogs, {valid:,} of them valid, no exception"
