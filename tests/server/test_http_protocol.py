"""Requests that ask for an upgrade, half-closed clients, pipelines, and absolute targets."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from localqueue.testing import LocalQueue
from tests.support import serving, write_catalog

CATALOG = {"metadata": {"name": "shop"}, "spec": {"queues": [{"name": "work", "endpoint": "/work"}]}}
HAS_HTTPTOOLS = importlib.util.find_spec("httptools") is not None
BODY = b'{"namespace":"shop","queue":"work","data":"\\r\\nUpgrade: 1"}'


@pytest.mark.parametrize(
    "headers",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\n",
        b"CONNECTION: UPGRADE\r\nUPGRADE: TLS/1.0\r\n",
    ],
)
def test_an_upgrade_is_ignored_and_the_job_accepted(headers: bytes) -> None:
    """Rule enqueue.upgrade."""
    with LocalQueue(CATALOG) as queue:
        host, port = "127.0.0.1", int(queue.url.rpartition(":")[2])
        fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        with socket.create_connection((host, port), timeout=30) as client:
            client.sendall(b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n" + headers + fields + BODY)
            assert client.recv(1000).startswith(b"HTTP/1.1 201 ")
        assert [job.data for job in queue.jobs()] == ["\r\nUpgrade: 1"]


def test_a_client_that_closes_its_side_after_the_request_gets_its_response() -> None:
    """Rule enqueue.half-close."""
    with LocalQueue(CATALOG) as queue:
        fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n"
        response = exchange(int(queue.url.rpartition(":")[2]), head + fields + BODY)
        assert response.startswith(b"HTTP/1.1 201 ") and queue.jobs()[0].id.encode() in response


def test_requests_in_a_row_and_a_half_close_are_no_internal_error(tmp_path: Path) -> None:
    """Rule enqueue.half-close."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--ephemeral") as server:
        for path in (b"/health", b"/_localqueue/jobs", b"/_localqueue/queues"):
            exchange(server.ready["port"], b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path * 5)
        server.enqueue()
        assert [event for event in server.events if event["event"] == "warning"] == []


@pytest.mark.parametrize(("host", "is_accepted"), [(b"localhost", True), (b"evil.example", False)])
def test_the_host_of_an_absolute_target_counts(host: bytes, is_accepted: bool) -> None:
    """Rule security.host."""
    with LocalQueue(CATALOG) as queue:
        fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        head = b"POST http://%b/jobs HTTP/1.1\r\nHost: localhost\r\n" % host
        status = exchange(int(queue.url.rpartition(":")[2]), head + fields + BODY).split()[1]
        assert status == (b"201" if is_accepted and HAS_HTTPTOOLS else b"403" if HAS_HTTPTOOLS else b"404")
        assert len(queue.jobs()) == (status == b"201")


def exchange(port: int, requests: bytes) -> bytes:
    """Send requests, close this side of the connection, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(requests)
        client.shutdown(socket.SHUT_WR)
        response = b""
        while part := client.recv(1000):
            response += part
    return response
