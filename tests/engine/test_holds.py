"""Holds: attempts that aren't cut off while one debugs them, and jobs that wait for a service that starts slowly."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localqueue.engine.service_watch import PERIOD_S
from tests import forking
from tests.cli.test_exec_result import PROGRAM
from tests.docs.pages import ENV
from tests.support import JSON, Server, free_port, http, localqueue, serving, until, working, write_catalog


class Handler:
    """A handler that responds when it is let go, except to jobs whose data is `quick`."""

    def __init__(self) -> None:
        self.may_respond = threading.Event()

    def __call__(self, job: dict[str, Any]) -> int:
        if job["data"] != "quick":
            self.may_respond.wait(30)
        return 500 if job["data"] == "quick" and job["attempt"] < 4 else 200


@pytest.fixture
def handler() -> Iterator[Handler]:
    found = Handler()
    yield found
    found.may_respond.set()


def configure(server: Server, queue: str, **settings: int) -> None:
    http.patch(f"{server.url}/_localqueue/queues/shop/{queue}", json=settings, headers=JSON).raise_for_status()


def test_a_held_attempt_is_not_cut_off_until_it_is_released(tmp_path: Path, handler: Handler) -> None:
    """Rule deliver.hold."""
    write_catalog(tmp_path, retries=0)
    with working(handler) as worker, serving(tmp_path, "--target", worker.url) as server:
        held = server.enqueue()
        server.wait_state(held, "running")
        until(lambda: worker.bodies, "the handler has it")
        shown = localqueue("hold", held[-8:], "--url", server.url)
        assert shown.output == f"held {held[-8:]} in work\n"
        assert server.job(held)["held"] == "no_timeout"
        configure(server, "work", timeoutMs=200)
        other = server.enqueue()
        assert server.wait_state(other, "failed")["attempts"][0]["outcome"] == "timeout"
        job = server.job(held)
        assert (job["state"], job["held"]) == ("running", "no_timeout")
        page = localqueue("job", held, "--url", server.url).output
        assert f"To end the hold: localqueue release {held[-8:]}" in page
        assert localqueue("release", held, "--url", server.url).exit_code == 0
        assert server.job(held)["held"] is None
        handler.may_respond.set()
        assert server.wait_state(held, "completed")["attempts"][0]["outcome"] == "completed"
        refused = localqueue("hold", held, "--url", server.url)
        assert refused.exit_code == 1 and "is completed; only running jobs can be held" in refused.stderr
    lines = [event for event in server.events if event["event"] == "hold"]
    assert [line["held"] for line in lines] == [True, False]


def test_a_released_attempt_has_its_whole_timeout_again(tmp_path: Path, handler: Handler) -> None:
    """Rule deliver.hold."""
    write_catalog(tmp_path, retries=0)
    with working(handler) as worker, serving(tmp_path, "--target", worker.url) as server:
        configure(server, "work", timeoutMs=300)
        id_ = server.enqueue()
        server.wait_state(id_, "running")
        localqueue("hold", id_, "--url", server.url)
        localqueue("release", id_, "--url", server.url)
        assert server.wait_state(id_, "failed")["attempts"][0]["outcome"] == "timeout"


def test_without_timeouts_no_attempt_is_cut_off(tmp_path: Path, handler: Handler) -> None:
    """Rule deliver.hold: three retries of another queue take longer than the timeout of this one."""
    write_catalog(tmp_path)
    with working(handler) as worker, serving(tmp_path, "--target", worker.url, "--no-timeouts") as server:
        configure(server, "work", timeoutMs=50)
        configure(server, "other", retries=3, retryDelayMs=60)
        id_ = server.enqueue("slow")
        server.wait_state(server.enqueue("quick", "other"), "completed")
        assert server.job(id_)["state"] == "running"
        handler.may_respond.set()
        server.wait_state(id_, "completed")
    assert any("aren't cut off after timeoutMs" in event.get("message", "") for event in server.events)


def test_jobs_wait_for_a_service_that_starts_late(tmp_path: Path) -> None:
    """Rule deliver.wait-for-service."""
    write_catalog(tmp_path)
    port = free_port()
    with serving(tmp_path, "--target", f"http://localhost:{port}", "--wait-for-service") as server:
        ids = [server.enqueue(number) for number in range(3)]
        assert {server.job(id_)["held"] for id_ in ids} == {"service_down"}
        assert server.get("/queues")["queues"][1]["held"] == "service_down"
        assert "held: its service isn't running yet" in localqueue("jobs", "--url", server.url).output
        with working(port=port) as worker:
            jobs = [server.wait_state(id_, "completed") for id_ in ids]
            assert [len(job["attempts"]) for job in jobs] == [1, 1, 1] and len(worker.bodies) == 3
    lines = [event["listening"] for event in server.events if event["event"] == "service"]
    assert lines == [False, True]


def test_a_move_of_time_sees_a_service_that_has_just_started(tmp_path: Path) -> None:
    """Rule deliver.wait-for-service."""
    write_catalog(tmp_path)
    port = free_port()
    with serving(tmp_path, "--target", f"http://localhost:{port}", "--wait-for-service") as server:
        id_ = server.enqueue()
        with working(port=port):
            drained = http.post(f"{server.url}/_localqueue/drain", headers=JSON).json()
        assert drained["idle"] and server.job(id_)["state"] == "completed"


def test_jobs_wait_again_while_the_service_is_down(tmp_path: Path) -> None:
    """Rule deliver.wait-for-service: an attempt finds out that the service is down, and the jobs behind it wait."""
    write_catalog(tmp_path, concurrency=1, delay=0)
    port = free_port()
    with serving(tmp_path, "--target", f"http://localhost:{port}", "--hold-while-down") as server:
        with working(lambda _: (200, b"", {"Connection": "close"}), port):  # no connection outlives it
            server.wait_state(server.enqueue("first"), "completed")
        ids = [server.enqueue("finds out")]
        until(lambda: server.job(ids[0])["held"] == "service_down", "the job waits")
        ids += [server.enqueue(number) for number in range(2)]
        assert {server.job(id_)["held"] for id_ in ids} == {"service_down"}
        with working(port=port):
            jobs = [server.wait_state(id_, "completed") for id_ in ids]
        assert [len(job["attempts"]) for job in jobs] == [2, 1, 1]


def test_a_service_that_listens_is_left_alone(tmp_path: Path) -> None:
    """Rule deliver.wait-for-service: it is not probed any more."""
    write_catalog(tmp_path)
    count = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(tmp_path, "--target", target, "--hold-while-down"), contextlib.suppress(TimeoutError):
            while True:
                listener.accept()[0].close()
                count += 1
                listener.settimeout(4 * PERIOD_S)
                assert count <= 2
    assert count


def test_exec_waits_for_a_service_that_command_starts(tmp_path: Path) -> None:
    """Rule exec.wait-for-service."""
    write_catalog(tmp_path, retries=0)
    late = "id_ = enqueue()\nwhile control_json(f'/jobs/{id_}')['held'] != 'service_down':\n    pass\n"
    code = f"{PROGRAM}\n{late}service(200)\nwait('completed', id_)\n"
    (tmp_path / "program.py").write_text(code)
    target = f"http://localhost:{free_port()}"
    command = ("exec", "--target", target, "--", sys.executable, "program.py")
    found = forking.run(*command, timeout=60, cwd=tmp_path, env=ENV)
    assert found.returncode == 0, found.stderr
    assert f"waiting: nothing is listening on {target}; the jobs of shop wait for it" in found.stderr
    (tmp_path / "program.py").write_text(f"{PROGRAM}\nwait('failed', enqueue())\n")
    command = ("exec", "--no-wait-for-service", *command[1:])
    off = forking.run(*command, timeout=60, cwd=tmp_path, env=ENV)
    assert off.returncode == 1 and "waiting:" not in off.stderr


@pytest.mark.parametrize("option", ["--wait-for-service", "--hold-while-down"])
def test_virtual_time_does_not_wait(tmp_path: Path, option: str) -> None:
    found = localqueue("up", "--catalog", str(write_catalog(tmp_path)), "--clock", "virtual", option)
    assert found.exit_code == 2 and f"{option} works only with the wall clock" in found.stderr
