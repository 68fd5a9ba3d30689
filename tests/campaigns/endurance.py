"""Run many jobs through one server: memory, descriptors and threads stay flat."""

from __future__ import annotations

import http.client
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support import Server, free_port, serving, until, working, write_catalog

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
            before = resources(server)
            worker.bodies.clear()
            _deliver(server, count - count // 10)
            after = resources(server)
            until(lambda: _descriptors(server) <= idle + SPARE, "every connection is closed again")
            at_rest = _descriptors(server)
    return f"{flat(before, after)}, descriptors {idle} to {at_rest}"


def dead_port(count: int, seed: int) -> str:
    """Fail `count` jobs, because nobody listens; compare after a tenth and at the end."""
    with tempfile.TemporaryDirectory() as folder:
        write_catalog(Path(folder), concurrency=50, retries=1, delay=10)
        with serving(Path(folder), "--target", f"http://127.0.0.1:{free_port()}") as server:
            idle = _descriptors(server)
            _deliver(server, count // 10)
            before = resources(server)
            _deliver(server, count - count // 10)
            after = resources(server)
            until(lambda: _descriptors(server) <= idle + SPARE, "every connection is closed again")
            failed = server.get("/status")["counts"]["failed"]
            attempts = 2 * failed
            until(lambda: len(server.events) >= attempts, "the log has a line for each attempt")
            lines = len(server.events) - attempts
    cpu_ms = (after["cpu_s"] - before["cpu_s"]) * 1000 / (attempts * 0.9)
    assert lines <= SPARE, f"{lines} lines more than attempts"
    return f"{failed:,} failed jobs, {flat(before, after)}, {cpu_ms:.2f} ms of CPU time and one line an attempt"


def flat(before: dict[str, float], after: dict[str, float]) -> str:
    """Return what has grown; it must not be much."""
    grown = after["memory_mb"] - before["memory_mb"]
    assert grown < GROWTH_MB, f"memory grew by {grown:.1f} MB"
    assert after["threads"] <= before["threads"] + SPARE, (before, after)
    return f"memory {before['memory_mb']:.1f} to {after['memory_mb']:.1f} MB, threads {after['threads']:.0f}"


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


def resources(server: Server) -> dict[str, float]:
    """Return what a server uses, on Linux."""
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    ticks = sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return {
        "memory_mb": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "cpu_s": ticks / os.sysconf("SC_CLK_TCK"),
    }


def _descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
