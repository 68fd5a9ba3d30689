"""What the API says of one queue: settings that were changed by hand, and the attempts of the last minute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localqueue.api.recent_attempts import LATEST, SECONDS, QueueHistory
from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.catalog.loader import load
from localqueue.core.models import Attempt, Outcome, OutcomeKind
from tests.support import JSON, Server, http, serving, until, working, write_catalog


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    answer = http.request(method, f"{server.url}/_localqueue{path}", content=json.dumps(body or {}), headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()


def queue(server: Server, name: str = "work") -> dict[str, Any]:
    return next(each for each in server.get("/queues")["queues"] if each["name"] == name)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("panel")
    write_catalog(folder, retries=0)
    with (
        working(lambda job: 500 if job["data"] == "bad" else 200) as worker,
        serving(folder, "--ephemeral", "--target", worker.url) as found,
    ):
        yield found


@pytest.fixture
def server(running: Server) -> Server:
    call(running, "POST", "/reset")
    return running


def test_a_changed_setting_is_shown_with_the_value_of_the_catalog_until_it_is_undone(server: Server) -> None:
    """Rule api.changed."""
    assert queue(server)["changed"] == {}
    call(server, "PATCH", "/queues/shop/work", {"retries": 7, "timeoutMs": 100})
    assert queue(server)["changed"] == {"retries": 0, "timeoutMs": 30_000}
    assert queue(server, "other")["changed"] == {}
    assert call(server, "PATCH", "/queues/shop/work", {"retries": None})["retries"] == 0
    assert queue(server)["changed"] == {"timeoutMs": 30_000}
    call(server, "POST", "/reset")
    assert (queue(server)["timeoutMs"], queue(server)["changed"]) == (30_000, {})


def test_a_changed_target_is_shown_with_the_first_one_until_it_is_undone(server: Server) -> None:
    """Rule api.changed: of every queue of the service."""
    first = queue(server)["target"]
    call(server, "PUT", "/targets/shop", {"url": "http://localhost:9/"})
    for name in ("work", "other"):
        assert (queue(server, name)["target"], queue(server, name)["changed"]) == (
            "http://localhost:9",
            {"target": first},
        )
    assert call(server, "PUT", "/targets/shop", {"url": None}) == {"namespace": "shop", "url": first}
    assert (queue(server)["target"], queue(server)["changed"]) == (first, {})


def test_an_edit_of_the_catalog_reaches_a_setting_again_once_its_change_is_undone(tmp_path: Path) -> None:
    """Rule api.changed."""
    key = ("shop", "work")
    active = ActiveCatalog(load([write_catalog(tmp_path, retries=0)]))
    active.change_queue(*key, {"retries": 7})
    active.declare(load([write_catalog(tmp_path, retries=5)]))
    assert (active.queues[key].retries, active.changes) == (7, {key: {"retries": 5}})
    active.change_queue(*key, {"retries": None})
    assert (active.queues[key].retries, active.changes) == (5, {})


def test_the_attempts_of_the_last_minute_are_counted_by_second_and_forgotten_by_a_reset(server: Server) -> None:
    """Rule api.recent."""
    for data in ("good", "bad", "good"):
        server.enqueue(data)
    until(lambda: sum(recent(server)["completed"]) == 2 and sum(recent(server)["failed"]) == 1, "all were counted")
    durations = recent(server)["durations"]
    assert durations["count"] == 3
    assert 0 <= durations["p50Ms"] <= durations["p95Ms"]
    assert sum(recent(server, "other")["completed"]) == 0
    call(server, "POST", "/reset")
    assert recent(server) == {
        "completed": [0] * SECONDS,
        "failed": [0] * SECONDS,
        "durations": {"count": 0, "p50Ms": None, "p95Ms": None},
    }


def recent(server: Server, name: str = "work") -> Any:
    return server.get(f"/queues/shop/{name}/recent")


COMPLETED = Attempt(
    round=1, number=1, max_attempts=1, due_ms=0, started_ms=0, ended_ms=0, duration_ms=5, url="", reason="",
    outcome=Outcome(OutcomeKind.COMPLETED, 200), next_due_ms=None,
)  # fmt: skip
FAILED = replace(COMPLETED, outcome=Outcome(OutcomeKind.TIMEOUT, None))
INJECTED = replace(COMPLETED, outcome=Outcome(OutcomeKind.COMPLETED, 200, injected="ok"))


def test_seconds_leave_after_a_minute_also_when_nothing_happens() -> None:
    """Rule api.recent."""
    history = QueueHistory()
    for second, attempt in ((1000, COMPLETED), (1000, COMPLETED), (1001, FAILED), (1059, COMPLETED)):
        history.add(attempt, second)
    found = history.read(1059)
    assert (found.completed[0], found.completed[-1], sum(found.completed)) == (2, 1, 3)
    assert (found.failed[1], sum(found.failed)) == (1, 1)
    assert (history.read(1060).completed[0], history.read(1060).failed[0]) == (0, 1)
    assert sum(history.read(1118).completed) == 1
    assert sum(history.read(1119).completed) == 0
    assert sum(history.read(9999).failed) == 0


def test_percentiles_are_durations_of_the_latest_attempts_that_called_the_service() -> None:
    """Rule api.recent."""
    history = QueueHistory()
    for duration_ms in range(1, LATEST + 101):
        history.add(replace(COMPLETED, duration_ms=duration_ms), 7)
        history.add(replace(INJECTED, duration_ms=0), 7)
    found = history.read(7)
    assert len(found.durations_ms) == LATEST
    assert (found.percentile(0.5), found.percentile(0.95)) == (100 + LATEST // 2, 100 + round(LATEST * 0.95 + 0.5))
    assert sum(found.completed) == 2 * (LATEST + 100)
