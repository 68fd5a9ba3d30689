"""The page docs/how-to-monorepo.md: its two services enqueue into each other, by hand and in a test."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.pages import ENV, run, write_node_files
from tests.support import Server, free_port, http, serving, until

PAGE = "docs/how-to-monorepo.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert len(write_node_files(PAGE, tmp_path)) == 7
    return tmp_path


@contextmanager
def service(folder: Path, name: str, port: str, queue_url: str) -> Iterator[None]:
    env = ENV | {"PORT": port, "IEC_QUEUE_URL": queue_url, "SERVICE_NAMESPACE": name}
    started = subprocess.Popen(["node", f"services/{name}/app.js"], cwd=folder, env=env)
    try:
        yield
    finally:
        started.kill()
        started.wait()


def is_listening(port: str) -> bool:
    try:
        socket.create_connection(("localhost", int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


def is_accepted(url: str) -> bool:
    try:
        return http.post(url).status_code == 202
    except httpx.ConnectError:
        return False


def both_completed(server: Server) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = server.get("/jobs?state=completed")["jobs"]
    return jobs if len(jobs) == 2 else []


def test_two_services_enqueue_into_each_other(folder: Path) -> None:
    """Rule catalog.discovery, catalog.several."""
    claims, letters = str(free_port()), str(free_port())
    targets = (f"--target=claims=http://localhost:{claims}", f"--target=letters=http://localhost:{letters}")
    with serving(folder, *targets) as server:
        http.patch(f"{server.url}/_localqueue/queues/letters/send-letter", json={"retryDelayMs": 0}).raise_for_status()
        with service(folder, "claims", claims, server.url), service(folder, "letters", letters, server.url):
            url = f"http://localhost:{claims}/claims/7/letter"
            until(lambda: is_listening(letters), "letters listens")
            until(lambda: is_accepted(url), "claims listens")
            completed = until(lambda: both_completed(server), "both jobs complete")
    assert sorted((job["namespace"], job["queue"], job["attempt"]) for job in completed) == [
        ("claims", "letter-sent", 1),
        ("letters", "send-letter", 2),
    ]


def test_the_test_of_both_services_passes(folder: Path) -> None:
    found = run(folder, "npm", "test")
    assert "# pass 1" in found.stdout
    assert found.stderr.endswith("localqueue: 2 jobs: 2 completed\n")
