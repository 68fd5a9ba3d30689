"""Send damaged requests and read damaged catalogs: no 5xx, no traceback, and the server keeps answering."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from localqueue.catalog import linter, loader
from localqueue.core.errors import CatalogError
from tests.campaigns import hostile
from tests.campaigns.watched import Watched, post, watching
from tests.support import Server, write_catalog

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
LIMIT_MS = 75.0
"""How long a step of the event loop may take, in CPU time: three times what the slowest body took, 24 ms."""


def mutated(rng: random.Random, text: bytes) -> bytes:
    """Return a text with one to four changes: bytes cut out, doubled, or replaced."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        end = min(at + rng.randint(0, 6), len(text))
        text = text[:at] + rng.choice([*PIECES, text[at:end] * 2, bytes([rng.randrange(256)])]) + text[end:]
    return text


def requests(count: int, seed: int) -> str:
    """Send all hostile requests and `count` damaged ones to POST /jobs, with a good one after each hundred."""
    with tempfile.TemporaryDirectory() as name:
        write_catalog(Path(name), retries=0)
        with watching(Path(name), "--ephemeral") as watched:
            statuses = _send(watched, count, random.Random(seed))
            longest = watched.check(LIMIT_MS)
    listed = ", ".join(f"{status}: {number:,}" for status, number in sorted(statuses.items()))
    return f"{listed}; the longest step was {longest}"


def _send(watched: Watched, count: int, rng: random.Random) -> Counter[int]:
    """Return how often each status came."""
    statuses = Counter(watched.send(*each) for each in hostile.requests(watched.server.enqueue()))
    with contextlib.closing(watched.connected()) as connection:
        for body, is_good in _bodies(count, rng):
            status, content = post(connection, body)
            watched.look(repr(body[:100]))
            assert isinstance(json.loads(content), dict), content
            assert status == 201 or not is_good, (status, body)
            statuses[status] += 1
    watched.settle("the last request")
    _check_log(watched.server)
    assert max(statuses) < 500, statuses
    return statuses


def _bodies(count: int, rng: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Yield damaged bodies, and whether each one must be accepted."""
    for number in range(count):
        is_good = number % 100 == 0
        yield rng.choice(BODIES) if is_good else mutated(rng, rng.choice(BODIES)), is_good


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
