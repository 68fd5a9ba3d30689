"""Send damaged requests and read damaged catalogs: no 5xx, no traceback, and the server keeps answering."""

from __future__ import annotations

import http.client
import json
import random
import tempfile
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
    """Send `count` damaged bodies to POST /jobs, and a good one after each hundred."""
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
        for number in range(count):
            is_good = number % 100 == 0
            body = rng.choice(BODIES) if is_good else mutated(rng, rng.choice(BODIES))
            began = _loop_cpu_ms(server)
            status = _post(connection, body)
            longest = max(longest, _loop_cpu_ms(server) - began)
            assert status < 500 and (status == 201 or not is_good), (status, body)
            statuses[status] = statuses.get(status, 0) + 1
        connection.close()
        _check_log(server)
    return statuses, longest


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
