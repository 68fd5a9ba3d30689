"""Many jobs at once: counted, retried, cancelled and deleted by what a list shows."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from localqueue.core.clock import VirtualClock
from localqueue.core.ids import uuid7
from localqueue.core.models import Job, JobFilter, JobState
from localqueue.engine import bulk_actions
from localqueue.store.store import Store
from tests.support import JSON, Server, http, run_async, running_engine, serving, until, working, write_catalog

OURS = "/_localqueue"


def send(server: Server, method: str, path: str, body: Any = None) -> httpx.Response:
    return http.request(method, f"{server.url}{OURS}{path}", content=json.dumps(body or {}), headers=JSON)


def done(server: Server, method: str, path: str, body: Any = None) -> int:
    """Return how many jobs a change says that it has changed."""
    answer = send(server, method, path, body)
    assert answer.status_code == 200, answer.text
    return int(next(iter(answer.json().values())))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bulk")
    write_catalog(folder, retries=0)
    with working(lambda job: 500 if "wrong" in job["data"] else 200) as worker:
        options = ("--target", worker.url, "--ephemeral", "--clock", "virtual")
        with serving(folder, *options) as found:
            yield found


@pytest.fixture
def server(running: Server) -> Server:
    """Return a server on the virtual clock whose queue `work` has 3 failed and 2 completed jobs, and 2 queued ones."""
    send(running, "POST", "/reset")
    for data in ("wrong claim", "wrong claim", "wrong letter", "claim", "letter"):
        running.enqueue(data)
    send(running, "POST", "/clock/advance", {"ms": 0})
    running.enqueue("claim")
    running.enqueue("claim", "other")
    return running


def counts(server: Server, query: str = "") -> dict[str, int]:
    """Return the states that jobs are in."""
    return {state: n for state, n in server.get(f"/jobs/counts{query}").items() if n}


def test_jobs_are_counted_by_state_as_a_list_shows_them(server: Server) -> None:
    """Rule api.bulk."""
    assert counts(server) == {"queued": 2, "failed": 3, "completed": 2}
    assert counts(server, "?queue=other") == {"queued": 1}
    assert counts(server, "?state=failed") == {"failed": 3}
    assert counts(server, "?q=claim") == {"queued": 2, "failed": 2, "completed": 1}
    assert counts(server, "?q=claim&state=queued&queue=work") == {"queued": 1}
    assert counts(server, "?status=500") == {"failed": 3}
    short = server.get("/jobs?state=failed")["jobs"][0]["shortId"]
    assert counts(server, f"?id={short}") == {"failed": 1}
    assert counts(server, "?since=2026-01-02T00:00:00Z") == {}


def test_what_a_list_shows_is_retried_and_nothing_else(server: Server) -> None:
    """Rule api.bulk."""
    assert done(server, "POST", "/jobs/retry", {"q": "claim", "queue": "work"}) == 2
    assert counts(server) == {"queued": 4, "failed": 1, "completed": 2}
    assert done(server, "POST", "/jobs/cancel") == 4
    assert done(server, "POST", "/jobs/retry", {"state": "cancelled", "q": "wrong"}) == 2
    assert counts(server) == {"queued": 2, "failed": 1, "cancelled": 2, "completed": 2}


def test_what_a_list_shows_is_cancelled_and_nothing_else(server: Server) -> None:
    """Rule api.bulk."""
    assert done(server, "POST", "/jobs/cancel", {"queue": "other", "state": "retrying"}) == 0
    assert done(server, "POST", "/jobs/cancel", {"queue": "other", "state": "queued"}) == 1
    assert counts(server) == {"queued": 1, "failed": 3, "completed": 2, "cancelled": 1}


def test_what_a_list_shows_is_deleted_and_unfinished_jobs_stay(server: Server) -> None:
    """Rule api.bulk, jobs.delete."""
    assert done(server, "DELETE", "/jobs?state=finished&q=letter") == 2
    assert counts(server) == {"queued": 2, "failed": 2, "completed": 1}
    assert done(server, "DELETE", "/jobs?state=failed&queue=work&status=500") == 2
    assert done(server, "DELETE", "/jobs?state=finished") == 1
    assert counts(server) == {"queued": 2}


@pytest.mark.parametrize(
    ("method", "path", "body", "found"),
    [
        ("POST", "/jobs/retry", {"state": "queued"}, (400, "invalid_request")),
        ("POST", "/jobs/cancel", {"state": "failed"}, (400, "invalid_request")),
        ("POST", "/jobs/cancel", {"summary": "x"}, (400, "invalid_request")),
        ("POST", "/jobs/cancel", {"queue": "wrk"}, (404, "unknown_queue")),
        ("DELETE", "/jobs?state=queued", None, (400, "invalid_request")),
        ("DELETE", "/jobs?state=failed&queue=wrk", None, (404, "unknown_queue")),
        ("GET", "/jobs/counts?state=done", None, (400, "invalid_request")),
        ("GET", "/jobs/counts?queue=wrk", None, (404, "unknown_queue")),
        ("GET", "/jobs/counts?queue=wrk&q=x", None, (404, "unknown_queue")),
    ],
)
def test_a_filter_that_selects_nothing_by_mistake_is_refused(
    server: Server, method: str, path: str, body: Any, found: tuple[int, str]
) -> None:
    """Rule api.bulk."""
    assert code(send(server, method, path, body)) == found


def test_cancelling_a_whole_queue_starts_none_of_its_waiting_jobs(tmp_path: Path) -> None:
    """Rule api.bulk: the running attempt is cut off after the waiting jobs are cancelled, so its slot stays free."""
    write_catalog(tmp_path, concurrency=1)
    over = threading.Event()
    with (
        working(lambda _: 200 if over.wait(30) else 500) as worker,
        serving(tmp_path, "--target", worker.url, "--ephemeral") as server,
    ):
        ids = [server.enqueue(number) for number in range(20)]
        until(lambda: worker.bodies, "the first attempt runs")
        assert done(server, "POST", "/jobs/cancel", {"queue": "work"}) == 20
        assert {server.job(id_)["state"] for id_ in ids} == {"cancelled"}
        assert len(worker.bodies) == 1
        over.set()


def test_all_failed_jobs_are_retried_at_once_or_those_of_a_queue(server: Server) -> None:
    """Rule api.retry-failed."""
    assert done(server, "POST", "/jobs/retry", {"queue": "other"}) == 0
    assert done(server, "POST", "/jobs/retry", {"namespace": "shop", "queue": "work"}) == 3
    send(server, "POST", "/drain")
    assert counts(server) == {"failed": 3, "completed": 4}
    assert [job["round"] for job in server.get("/jobs?state=failed")["jobs"]] == [2, 2, 2]


def test_many_failed_jobs_are_retried_step_by_step_in_the_order_of_their_enqueueing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule api.retry-failed."""
    monkeypatch.setattr(bulk_actions, "STEP", 3)

    async def check() -> None:
        store = await Store.open(tmp_path / "queue.db", durable=False, keep=100)
        for seq in range(1, 12):
            queue = "work" if seq % 3 else "other"
            job = Job(seq, uuid7(0, bytes([seq] * 10)), "shop", queue, 0, 0, JobState.FAILED, 0, attempt=1, failures=1)
            await store.insert(job, b"null", lambda: None)
        await store.close()
        async with running_engine(write_catalog(tmp_path, concurrency=20), VirtualClock(50)) as engine:
            assert await engine.bulk.retry(JobFilter()) == 11
            assert await engine.bulk.retry(JobFilter()) == 0
            made = (await engine.advance(0)).attempts
            assert [each.job.seq for each in made] == list(range(1, 12))
            assert {(each.attempt.round, each.attempt.number, each.attempt.due_ms) for each in made} == {(2, 1, 50)}

    run_async(check())


def test_jobs_that_arrive_during_a_change_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule api.bulk."""
    monkeypatch.setattr(bulk_actions, "STEP", 2)

    async def check() -> None:
        async with running_engine(write_catalog(tmp_path), VirtualClock(50)) as engine:
            for _ in range(5):
                await engine.enqueue("shop", "work", b"1")
            cancelling = asyncio.create_task(engine.bulk.cancel(JobFilter()))
            await asyncio.sleep(0)
            late = await engine.enqueue("shop", "work", b"2")
            assert await cancelling == 5
            assert (await engine.jobs.find(late.id)).finished is None

    run_async(check())
