"""Run many jobs through one server: memory, descriptors and threads stay flat."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support import Server, serving, until, working, write_catalog

THREADS = 4
GROWTH_MB = 10.0
SPARE = 4


def jobs(count: int, seed: int) -> str:
    """Deliver `count` jobs, a few of which fail first; compare after a tenth and at the end.

    Idle connections close by themselves, so descriptors are compared at rest: before the first job and
    after the last one. The event loop's pool starts its few threads when it needs them.
    """
    with tempfile.TemporaryDirectory() as folder, working(_answer) as worker:
        write_catalog(Path(folder), concurrency=50, delay=10)
        with serving(Path(folder), "--target", worker.url, "--keep", "1000") as server:
            idle = _descriptors(server)
            _deliver(server, count // 10)
            before = _resources(server)
            worker.bodies.clear()
            _deliver(server, count - count // 10)
            after = _resources(server)
            until(lambda: _descriptors(server) <= idle + SPARE, "every connection is closed again")
            at_rest = _descriptors(server)
    grown = after["memory_mb"] - before["memory_mb"]
    assert grown < GROWTH_MB, f"memory grew by {grown:.1f} MB"
    assert after["threads"] <= before["threads"] + SPARE, (before, after)
    return (
        f"memory {before['memory_mb']:.1f} to {after['memory_mb']:.1f} MB, "
        f"descriptors {idle} to {at_rest}, threads {after['threads']}"
    )


def _answer(job: dict[str, Any]) -> int:
    return 500 if job["data"] % 50 == 0 and job["attempt"] == 1 else 200


def _deliver(server: Server, count: int) -> None:
    threads = [threading.Thread(target=_enqueue, args=(server.url, count // THREADS)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def is_done() -> bool:
        counts = server.get("/status")["counts"]
        return not counts["queued"] + counts["running"] + counts["retrying"]

    until(is_done, "every job has finished")


def _enqueue(url: str, count: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    for number in range(count):
        body = json.dumps({"namespace": "shop", "queue": "work", "data": number})
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 201, response.read()
        response.read()
    connection.close()


def _resources(server: Server) -> dict[str, float]:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {"memory_mb": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"])}


def _descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
