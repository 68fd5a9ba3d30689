"""`--crash-at`: the process ends as by kill -9, and the restart says what is delivered again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from localqueue.core import crashpoint
from localqueue.core.errors import ClientError
from localqueue.testing import LocalQueue
from tests.support import Server, localqueue, serving, until, working, write_catalog


def crash(folder: Path, target: str, point: str) -> str:
    """Let a server crash with one job; return the job's ID."""
    server = Server(folder, "--port", "0", "--target", target, "--crash-at", point).wait_ready()
    id_ = server.enqueue()
    assert server.finish()[0] == -signal.SIGKILL
    return id_


def warnings(server: Server) -> list[str]:
    return [event["message"] for event in server.events if event["event"] == "warning"]


@pytest.mark.parametrize(("point", "deliveries"), [("before-send", 1), ("after-send", 2)])
def test_the_restart_names_what_is_delivered_again(tmp_path: Path, point: str, deliveries: int) -> None:
    """Rule storage.rehearsal."""
    write_catalog(tmp_path)
    with working() as worker:
        id_ = crash(tmp_path, worker.url, point)
        with serving(tmp_path, "--target", worker.url) as server:
            job = server.wait_state(id_, "completed")
            [warning] = until(lambda: warnings(server), "the warning is there")
        assert warning == (
            f"the previous run crashed at {point}, as --crash-at says; delivered again, because no result was stored: "
            f"shop/work {id_[-8:]} (attempt 1). The service may have processed it already"
        )
        assert [attempt["number"] for attempt in job["attempts"]] == [1]
        assert [body["attempt"] for body in worker.jobs] == [1] * deliveries
        with serving(tmp_path, "--target", worker.url) as server:
            pass
        assert warnings(server) == []


def test_a_stored_result_is_not_delivered_again(tmp_path: Path) -> None:
    """Rule storage.rehearsal: the second commit after the start is the one of the result."""
    write_catalog(tmp_path)
    with working() as worker:
        id_ = crash(tmp_path, worker.url, "after-commit:2")
        with serving(tmp_path, "--target", worker.url) as server:
            assert server.job(id_)["state"] == "completed"
            [warning] = until(lambda: warnings(server), "the warning is there")
        assert warning.endswith("; no attempt was running, so none is repeated")
        assert len(worker.jobs) == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("after-sned",), "--crash-at: unknown point 'after-sned'; points: after-send, "),
        (("after-send:0",), "--crash-at: '0' must be a whole number from 1 to 1000000"),
        (("after-send:",), "--crash-at: '' must be a whole number"),
        (("after-send:99999999999999999999",), "must be a whole number"),
        (("after-send", "--ephemeral"), "there is nothing to restart from in an ephemeral database; use --db PATH"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused(tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    found = localqueue("up", "--catalog", str(write_catalog(tmp_path)), "--crash-at", *words)
    assert found.exit_code == 2 and problem in found.stderr


def test_the_fixture_refuses_to_end_pytest(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="would end pytest itself"):
        LocalQueue(write_catalog(tmp_path), crash_at="after-send")


def test_a_point_counts_only_its_own_times() -> None:
    ended: list[str] = []
    crashpoint.arm("after-send:2", ended.append)
    for point in ("after-send", "before-send", "after-send", "after-send"):
        crashpoint.reach(point)
    assert ended == ["after-send:2"]
