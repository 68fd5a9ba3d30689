"""A client that is gone ends its request."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.support import JSON, Server, http, serving, until, working, write_catalog

HOUR_MS = 3_600_000


def post_and_leave(server: Server, path: str, body: object) -> None:
    """Send a request, and close the connection once the server works on it."""
    content = json.dumps(body).encode()
    head = f"POST /_localqueue{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2])
    with socket.create_connection((host, port), timeout=30) as client:
        client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        http.get(f"{server.url}/_localqueue/clock").raise_for_status()  # so the request before it has started


def test_the_next_request_does_not_wait_for_one_whose_client_has_gone(tmp_path: Path) -> None:
    """Rule api.disconnect."""
    write_catalog(tmp_path, delay=HOUR_MS, retries=1)
    statuses = iter([500])
    with working(lambda _: next(statuses, 200)) as worker, serving(tmp_path, "--target", worker.url) as server:
        id_ = server.enqueue()
        server.wait_state(id_, "retrying")
        post_and_leave(server, "/drain", {"timeoutMs": 24 * HOUR_MS})
        answer = http.post(f"{server.url}/_localqueue/clock/advance", json={"ms": HOUR_MS}, headers=JSON)
        assert [attempt["status"] for attempt in answer.json()["attempts"]] == [200]
        until(lambda: server.job(id_)["state"] == "completed", "the job completes")
