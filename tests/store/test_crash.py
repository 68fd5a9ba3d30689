"""kill -9 at any moment loses nothing that was acknowledged and leaves nothing stuck."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import Server, http, until, working, write_catalog

POINTS = ["before-commit:1", "before-commit:3", "after-commit:1", "after-commit:4", "before-send:2", "after-send:2"]


class Producers:
    """Enqueue from several threads for as long as the server answers; remember what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []

    def run(self, url: str) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._produce, args=(url,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        return threads

    def _produce(self, url: str) -> None:
        while True:
            try:
                answer = http.post(f"{url}/jobs", json={"namespace": "shop", "queue": "work", "data": 1})
            except httpx.TransportError:
                return
            if answer.status_code != 201:
                return
            self.acknowledged.append(answer.json()["id"])


def start(folder: Path, target: str, crash_at: str = "") -> Server:
    options = ("--port", "0", "--target", target, "--keep", "1000000")
    return Server(folder, *options, *(["--crash-at", crash_at] if crash_at else []))


def fail_now_and_then(job: dict[str, Any]) -> int:
    return 500 if int(job["jobId"][-1], 16) < 3 and job["attempt"] == 1 else 200


def settle(folder: Path, target: str, acknowledged: list[str], delivered: Counter[str]) -> None:
    """Let everything finish, then check that each acknowledged job was delivered and completed."""
    server = start(folder, target).wait_ready()

    def is_quiet() -> bool:
        counts = [queue["counts"] for queue in server.get("/queues")["queues"]]
        return not any(each["queued"] + each["running"] + each["retrying"] for each in counts)

    until(is_quiet, "all jobs are finished")
    server.stop()
    connection = sqlite3.connect(folder / ".localqueue" / "queue.db")
    states = dict(connection.execute("SELECT id, finished FROM jobs"))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    counted = connection.execute("SELECT total(n) FROM counts").fetchone()[0]
    connection.close()
    assert counted == len(states)
    assert [id_ for id_ in acknowledged if states.get(id_) != "completed"] == []
    assert [id_ for id_ in acknowledged if not delivered[id_]] == []


def cycles(folder: Path, number: int, seed: int) -> int:
    rng = random.Random(seed)
    producers, delivered = Producers(), Counter[str]()

    def answer(job: dict[str, Any]) -> int:
        delivered[job["jobId"]] += 1
        return fail_now_and_then(job)

    write_catalog(folder, delay=20, concurrency=20)
    with working(answer) as worker:
        for _ in range(number):
            server = start(folder, worker.url)
            if rng.random() < 0.2:  # within the start, so that the recovery is interrupted too
                threading.Event().wait(rng.uniform(0, 0.4))
                server.kill()
                continue
            threads = producers.run(server.wait_ready().url)
            threading.Event().wait(rng.uniform(0, 0.4))  # the moment of death must not depend on what it does
            server.kill()
            for thread in threads:
                thread.join()
        settle(folder, worker.url, producers.acknowledged, delivered)
    return len(producers.acknowledged)


def test_twenty_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """Rule storage.kill."""
    assert cycles(tmp_path, 20, seed=1) > 50


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_many_kills_under_load_lose_nothing(tmp_path: Path, seed: int) -> None:
    """Rule storage.kill, the long form."""
    cycles(tmp_path, 50, seed)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_a_named_point_loses_nothing(tmp_path: Path, point: str) -> None:
    """Rule storage.kill."""
    producers, delivered = Producers(), Counter[str]()

    def answer(job: dict[str, Any]) -> int:
        delivered[job["jobId"]] += 1
        return fail_now_and_then(job)

    write_catalog(tmp_path, delay=20)
    with working(answer) as worker:
        server = start(tmp_path, worker.url, point).wait_ready()
        for thread in producers.run(server.url):
            thread.join()
        assert server.finish()[0] == -signal.SIGKILL
        settle(tmp_path, worker.url, producers.acknowledged, delivered)
