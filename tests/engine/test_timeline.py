"""Time under control: the rules of `time.*`, `ledger.*` and `reset.*`, against real servers and workers."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localqueue.testing.local_queue import LocalQueue
from tests.support import JSON, Server, http, serving, until, working, write_catalog

DAY = timedelta(days=1)
VIRTUAL = ("--clock", "virtual", "--ephemeral")

DONE = {"firings": [], "unfinished": [], "unfinishedCount": 0, "stoppedBy": None}
"""The part of a response of `advance` and `drain` that says that every job has finished."""


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    content = b"" if body is None else json.dumps(body)
    answer = http.request(method, f"{server.url}/_localqueue{path}", content=content, headers=JSON, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


def post(server: Server, path: str, body: Any = None) -> Any:
    return call(server, "POST", path, body)


def ledger(server: Server) -> str:
    return str(call(server, "GET", "/ledger"))


class Script:
    """Answer from a list, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses: Iterator[int] = iter(statuses)

    def __call__(self, _: dict[str, Any]) -> int:
        return next(self.statuses, 200)


def test_nothing_is_delivered_on_the_virtual_clock_until_time_is_moved(tmp_path: Path) -> None:
    """Rule time.virtual."""
    with working() as worker:
        write_catalog(tmp_path, delay=5000)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            id_ = server.enqueue()
            assert server.job(id_)["state"] == "queued"
            assert call(server, "GET", "/clock") == {
                "mode": "virtual",
                "now": "2026-01-01T00:00:00.000Z",
                "offsetMs": 0,
            }
            assert worker.jobs == []
            made = post(server, "/clock/advance", {"ms": 0})
    assert made == {
        **DONE,
        "now": "2026-01-01T00:00:00.000Z",
        "attempts": [
            {
                "jobId": id_,
                "namespace": "shop",
                "queue": "work",
                "round": 1,
                "number": 1,
                "maxAttempts": 4,
                "startedAt": "2026-01-01T00:00:00.000Z",
                "outcome": "completed",
                "status": 200,
                "error": None,
                "nextDueAt": None,
            }
        ],
    }


def test_three_failures_with_production_s_delays_are_in_the_ledger_with_their_times(tmp_path: Path) -> None:
    """Rule ledger.text, retry.delay."""
    with working(Script(500, 503, 404)) as worker:
        write_catalog(tmp_path, delay=5000)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue()
            found = post(server, "/drain")
            assert (found["idle"], found["now"]) == (True, "2026-01-01T00:00:15.000Z")
            assert ledger(server) == (
                " +0.000s  work#1  1/4  http_error 500  next +5.000s\n"
                " +5.000s  work#1  2/4  http_error 503  next +10.000s\n"
                "+10.000s  work#1  3/4  http_error 404  next +15.000s\n"
                "+15.000s  work#1  4/4  completed 200\n"
            )
            lines = http.get(f"{server.url}/_localqueue/ledger?format=jsonl").text.splitlines()
            assert [json.loads(line)["offsetMs"] for line in lines] == [0, 5000, 10_000, 15_000]


def test_advance_plays_up_to_its_end_inclusive_and_to_next_stops_at_the_next_instant(tmp_path: Path) -> None:
    """Rule time.advance, time.to-next."""
    with working(Script(500, 500, 500)) as worker:
        write_catalog(tmp_path, delay=5000)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue()
            assert len(post(server, "/clock/advance", {"ms": 4999})["attempts"]) == 1
            assert len(post(server, "/clock/advance", {"ms": 1})["attempts"]) == 1
            found = post(server, "/clock/advance", {"to": "next"})
            assert (found["now"], len(found["attempts"])) == ("2026-01-01T00:00:10.000Z", 1)
            found = post(server, "/clock/advance", {"to": "2026-01-01T00:00:15Z"})
            assert [each["outcome"] for each in found["attempts"]] == ["completed"]
            assert post(server, "/clock/advance", {"to": "next"}) == {**DONE, "now": found["now"], "attempts": []}


@pytest.mark.parametrize(
    "body", [{}, {"ms": 1, "to": "next"}, {"ms": -1}, {"ms": 1.5}, {"ms": True}, {"ms": 10**15}, {"to": "soon"},
             {"to": "2025-01-01T00:00:00Z"}, {"to": 5}, {"ms": 0, "settleMs": "x"}, {"seconds": 5}],
)  # fmt: skip
def test_a_wrong_advance_is_refused_and_moves_nothing(virtual: Server, body: dict[str, Any]) -> None:
    """Rule time.advance."""
    url = f"{virtual.url}/_localqueue/clock/advance"
    answer = http.post(url, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert call(virtual, "GET", "/clock")["offsetMs"] == 0


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("virtual")
    write_catalog(folder)
    with serving(folder, *VIRTUAL) as server:
        yield server


def test_outcomes_are_applied_in_starting_order(tmp_path: Path) -> None:
    """Rule time.order."""
    both = threading.Barrier(2)
    second_done = threading.Event()

    def answer(job: dict[str, Any]) -> int:
        if job["attempt"] > 1:
            return 200
        both.wait(30)
        if job["data"] == 1:
            second_done.wait(30)  # the first to be started is the last to answer
        else:
            second_done.set()
        return 500

    with working(answer) as worker:
        write_catalog(tmp_path, delay=1000)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue(1)
            server.enqueue(2)
            made = post(server, "/drain")["attempts"]
            assert ledger(server) == (
                "+0.000s  work#1  1/4  http_error 500  next +1.000s\n"
                "+0.000s  work#2  1/4  http_error 500  next +1.000s\n"
                "+1.000s  work#1  2/4  completed 200\n"
                "+1.000s  work#2  2/4  completed 200\n"
            )
            jobs = call(server, "GET", "/jobs")["jobs"]
            assert [each["jobId"] for each in made[:2]] == [job["id"] for job in reversed(jobs)]


def test_a_timeout_keeps_its_slot_but_not_the_clock(tmp_path: Path) -> None:
    """Rule time.timeout."""
    hang = threading.Event()

    def answer(job: dict[str, Any]) -> int:
        if job["data"] == "hang" and job["attempt"] == 1:
            hang.wait(30)
        return 200

    with working(answer) as worker:
        write_catalog(tmp_path, concurrency=1, delay=5000)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue("hang")
            server.enqueue("quick")
            call(server, "PATCH", "/queues/shop/work", {"timeoutMs": 300})
            post(server, "/clock/advance", {"ms": 0})
            call(server, "PATCH", "/queues/shop/work", {"timeoutMs": None})  # a busy machine isn't quick
            post(server, "/drain")
            hang.set()
            assert ledger(server) == (
                "+0.000s  work#1  1/4  timeout        next +5.300s\n"
                "+0.300s  work#2  1/4  completed 200\n"
                "+5.300s  work#1  2/4  completed 200\n"
            )


def test_a_handler_may_enqueue_and_what_it_enqueued_runs_at_the_same_instant(tmp_path: Path) -> None:
    """Rule time.instant."""
    with working() as worker:

        def answer(job: dict[str, Any]) -> int:
            if job["data"] == "parent":
                for _ in range(3):
                    server.enqueue("child", "other")
            return 200

        worker.answer = answer
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue("parent")
            made = post(server, "/clock/advance", {"ms": 0})
            assert [each["queue"] for each in made["attempts"]] == ["work", "other", "other", "other"]
            assert made["now"] == "2026-01-01T00:00:00.000Z"


def test_settle_waits_for_jobs_enqueued_after_the_response(tmp_path: Path) -> None:
    """Rule time.settle."""
    later: list[threading.Thread] = []
    with working() as worker:

        def fan_out() -> None:
            until(lambda: len(worker.bodies) == 1, "the parent has its response")
            server.enqueue("child", "other")

        def answer(job: dict[str, Any]) -> int:
            if job["data"] == "parent":
                later.append(threading.Thread(target=fan_out))
                later[-1].start()
            return 200

        worker.answer = answer
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            server.enqueue("parent")
            found = post(server, "/drain", {"settleMs": 1500})
            assert [each["queue"] for each in found["attempts"]] == ["work", "other"]
            later[0].join()


def test_drain_leaves_held_jobs_and_gives_up_after_its_timeout(tmp_path: Path) -> None:
    """Rule time.drain, states.paused."""
    hang = threading.Event()
    with working(lambda _: (hang.wait(30) and 200) or 200) as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            post(server, "/queues/shop/other/pause")
            held = server.enqueue(queue="other")
            assert server.job(held)["held"] == "paused"
            result = post(server, "/drain")
            assert (result["idle"], result["attempts"], result["unfinishedCount"]) == (True, [], 1)
            assert result["unfinished"] == [
                {
                    "jobId": held,
                    "namespace": "shop",
                    "queue": "other",
                    "state": "queued",
                    "held": "paused",
                    "attempt": 0,
                    "maxAttempts": 4,
                    "dueAt": "2026-01-01T00:00:00.000Z",
                }
            ]
            hanging = server.enqueue()

            def drained_in_vain() -> Any:
                found = post(server, "/drain", {"timeoutMs": 100})
                return found if found["unfinished"][0]["state"] == "running" else None

            result = until(drained_in_vain, "the attempt has started: on a stalled machine, time may be over before")
            assert (result["idle"], result["unfinishedCount"]) == (False, 2)
            assert [(job["jobId"], job["state"]) for job in result["unfinished"]] == [
                (hanging, "running"), (held, "queued")
            ]  # fmt: skip
            hang.set()
            assert post(server, "/drain")["idle"] is True
            post(server, "/queues/shop/other/resume")
            assert [each["jobId"] for each in post(server, "/drain")["attempts"]] == [held]


def test_virtual_time_is_kept_in_the_file_and_the_other_clock_refuses_it(tmp_path: Path) -> None:
    """Rule time.stored."""
    options = ("--clock", "virtual", "--start", "2026-03-01")
    with working(Script(500)) as worker:
        write_catalog(tmp_path, delay=5000)
        with serving(tmp_path, "--target", worker.url, *options) as server:
            id_ = server.enqueue()
            post(server, "/clock/advance", {"ms": 1000})
        with serving(tmp_path, "--target", worker.url, *options) as server:
            assert call(server, "GET", "/clock")["now"] == "2026-03-01T00:00:01.000Z"
            assert server.job(id_)["state"] == "retrying"
            post(server, "/drain")
            assert ledger(server).splitlines()[1] == "+5.000s  work#1  2/4  completed 200"
        refused = Server(tmp_path, "--port", "0", "--clock", "wall")
        code, error = refused.finish()
        assert code == 1
        assert "was created with the virtual clock" in error
        assert "--clock virtual" in error


def test_the_same_seed_gives_the_same_ledger_and_the_same_ids_a_hundred_times(tmp_path: Path) -> None:
    """Rule ledger.same, time.seed, reset.state: though handlers are at work at once and end as they like."""

    def answer(job: dict[str, Any]) -> int:
        return 500 if job["attempt"] <= job["data"] else 200

    with working(answer) as worker, LocalQueue(write_catalog(tmp_path, delay=5000), worker.url, seed=42) as queue:
        seen = set()
        for _ in range(100):
            for failures in range(3):
                queue.client.enqueue("shop", "work", str(failures))
                queue.client.enqueue("shop", "other", str(failures))
            queue.advance("7s")
            queue.client.enqueue("shop", "work", "4")
            queue.drain()
            seen.add(queue.client.ledger_text("jsonl"))
            queue.reset()
    assert len(seen) == 1
    assert len(seen.pop().splitlines()) == 2 * (1 + 2 + 3) + 4


def test_a_day_passes_over_two_hundred_failing_jobs(tmp_path: Path) -> None:
    """Rule time.advance, retry.limit."""
    with LocalQueue(write_catalog(tmp_path, retries=5, delay=60_000)) as queue:
        queue.worker("work").always(500)
        for number in range(200):
            queue.client.enqueue("shop", "work", str(number))
        made = queue.advance("24h")
        assert Counter(attempt.number for attempt in made) == dict.fromkeys(range(1, 7), 200)
        assert (queue.now - made[0].started_at, made[-1].started_at - made[0].started_at) == (DAY, timedelta(minutes=5))
        assert len(queue.jobs(state="failed")) == 200


def test_reset_restores_the_state_after_the_start(tmp_path: Path) -> None:
    """Rule reset.state."""
    hang = threading.Event()
    with working(lambda _: (hang.wait(30) and 200) or 200) as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            before = [call(server, "GET", path) for path in ("/queues", "/clock", "/ledger")]
            call(server, "PATCH", "/queues/shop/work", {"retries": 1, "retryDelayMs": 250})
            call(server, "PUT", "/targets/shop", {"url": "http://127.0.0.1:9"})
            server.enqueue()
            post(server, "/drain")
            assert call(server, "GET", "/clock")["offsetMs"] == 250
            call(server, "PUT", "/targets/shop", {"url": worker.url})
            post(server, "/queues/shop/other/pause")
            id_ = server.enqueue()
            drain = threading.Thread(target=post, args=(server, "/drain"))
            drain.start()
            until(lambda: worker.bodies, "the job is running")
            post(server, "/reset")  # cuts it off
            drain.join()
            assert [call(server, "GET", path) for path in ("/queues", "/clock", "/ledger")] == before
            assert http.get(f"{server.url}/_localqueue/jobs/{id_}").status_code == 404
            hang.set()
            server.enqueue()
            post(server, "/drain")
            assert ledger(server) == "+0.000s  work#1  1/4  completed 200\n"


def test_advance_on_the_wall_clock_moves_an_offset_and_runs_what_is_due_by_then_once(tmp_path: Path) -> None:
    """Rule time.wall-advance."""
    with working(lambda _: 500) as worker:
        write_catalog(tmp_path, delay=3_600_000)
        with serving(tmp_path, "--target", worker.url) as server:
            ids = {server.enqueue() for _ in range(12)}
            assert post(server, "/drain", {"timeoutMs": 300})["idle"] is False
            until(lambda: len(server.get("/jobs?state=retrying")["jobs"]) == 12, "each has had its first attempt")
            found = post(server, "/clock/advance", {"ms": 3_600_000})
            assert {each["jobId"] for each in found["attempts"]} == ids
            assert {each["number"] for each in found["attempts"]} == {2}
            assert len(found["attempts"]) == 12
            clock = call(server, "GET", "/clock")
            assert clock["mode"] == "wall"
            assert clock["offsetMs"] >= 3_599_000
            found = post(server, "/clock/advance", {"to": "next"})
            assert {each["number"] for each in found["attempts"]} == {3}
            post(server, "/reset")
            assert call(server, "GET", "/clock")["offsetMs"] == 0


def test_drain_on_the_wall_clock_waits_and_moves_nothing(tmp_path: Path) -> None:
    """Rule time.drain."""
    with working(Script(500, 500)) as worker:
        write_catalog(tmp_path, delay=50)
        with serving(tmp_path, "--target", worker.url) as server:
            id_ = server.enqueue()
            assert post(server, "/drain")["idle"] is True
            assert server.job(id_)["state"] == "completed"
            assert call(server, "GET", "/clock")["offsetMs"] == 0


def test_a_job_can_cancel_another_of_its_own_batch_without_a_deadlock(tmp_path: Path) -> None:
    """Rule states.cancelled, time.order."""
    started = threading.Barrier(2)
    with working() as worker:

        def answer(job: dict[str, Any]) -> int:
            started.wait(30)
            if job["data"] != "victim":
                post(server, f"/jobs/{job['data']}/cancel")
            else:
                until(lambda: server.job(job["jobId"])["state"] == "cancelled", "it was cancelled")
            return 200

        worker.answer = answer
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, *VIRTUAL) as server:
            victim = server.enqueue("victim")
            server.enqueue(victim)
            assert sorted(each["outcome"] for each in post(server, "/drain")["attempts"]) == ["cancelled", "completed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "1"], "--seed works only with --clock virtual"),
        (["--start", "2026-01-01"], "--start works only with --clock virtual"),
        (["--clock", "virtual", "--start", "tomorrow"], "--start: 'tomorrow' isn't a time"),
        (["--clock", "virtual", "--seed", "-1"], "--seed"),
    ],
)
def test_incompatible_options_are_a_usage_error(tmp_path: Path, options: list[str], message: str) -> None:
    """Rule time.seed, cli.exit-codes."""
    write_catalog(tmp_path)
    code, error = Server(tmp_path, "--port", "0", *options).finish()
    assert code == 2
    assert message in error


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/queues/shop/work", {"retries": "3"}),
        ("PATCH", "/queues/shop/work", {"retry": 3}),
        ("PATCH", "/queues/shop/work", {"concurrency": 0}),
        ("PUT", "/targets/shop", {}),
        ("PUT", "/targets/shop", {"url": "ftp://x"}),
        ("PUT", "/targets/shop", {"url": "OWN"}),
        ("POST", "/drain", {"timeoutMs": -1}),
        ("POST", "/reset", {"all": True}),
        ("GET", "/ledger?format=xml", None),
    ],
)
def test_wrong_clock_calls_are_refused(virtual: Server, method: str, path: str, body: Any) -> None:
    """Rule configure.queues, configure.targets."""
    content = json.dumps(body).replace("OWN", virtual.url) if body is not None else ""
    url = f"{virtual.url}/_localqueue{path}"
    answer = http.request(method, url, content=content, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_unknown_names_are_refused_with_the_known_ones(virtual: Server) -> None:
    for method, path, body in [
        ("PATCH", "/queues/shop/wrok", {}),
        ("POST", "/queues/shp/work/pause", {}),
        ("PUT", "/targets/shp", {"url": "http://localhost:1"}),
    ]:
        answer = http.request(method, f"{virtual.url}/_localqueue{path}", json=body)
        assert answer.status_code == 404
        assert "declared: " in answer.json()["error"]["message"]
