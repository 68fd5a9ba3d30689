"""Requests that ask for an upgrade, and half-closed clients."""

from __future__ import annotations

import socket

import pytest

from localqueue.testing import LocalQueue

CATALOG = {"metadata": {"name": "shop"}, "spec": {"queues": [{"name": "work", "endpoint": "/work"}]}}
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
        with socket.create_connection(("127.0.0.1", int(queue.url.rpartition(":")[2])), timeout=30) as client:
            client.sendall(b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n" + fields + BODY)
            client.shutdown(socket.SHUT_WR)
            response = b""
            while part := client.recv(1000):
                response += part
        assert response.startswith(b"HTTP/1.1 201 ") and queue.jobs()[0].id.encode() in response
