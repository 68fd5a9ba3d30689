"""The main job across real processes: enqueue, deliver, retry, survive."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import JSON, Server, client, free_port, http, serving, until, working, write_catalog


def test_a_job_is_delivered_with_the_four_keys_in_order_and_its_data_byte_for_byte(tmp_path: Path) -> None:
    """Rule deliver.body, enqueue.bytes."""
    data = r'{"z":1.0, "a":1E400,"big":12345678901234567890123,"dup":1,"dup":2,"s":"\ud800\u00e9é"}'
    with working() as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url) as server:
            body = '{"queue":"work", "data": ' + data + ' ,"namespace":"shop"}'
            answer = http.post(f"{server.url}/jobs", content=body.encode(), headers=JSON)
            assert answer.status_code == 201
            assert list(answer.json()) == ["id"]
            server.wait_state(answer.json()["id"], "completed")
        expected = f'{{"jobId":"{answer.json()["id"]}","queue":"work","attempt":1,"data":{data}}}'
        assert worker.bodies == [expected.encode()]


def test_a_failed_attempt_is_retried_exactly_the_delay_after_its_end(tmp_path: Path) -> None:
    """Rule retry.delay, retry.limit, states.attempts."""
    with working(lambda job: 200 if job["attempt"] == 3 else 503) as worker:
        write_catalog(tmp_path, delay=120)
        with serving(tmp_path, "--target", worker.url) as server:
            job = server.wait_state(server.enqueue({"n": 1}), "completed")
    attempts = job["attempts"]
    assert [each["number"] for each in attempts] == [1, 2, 3]
    assert [each["status"] for each in attempts] == [503, 503, 200]
    assert [each["outcome"] for each in attempts] == ["http_error", "http_error", "completed"]
    for failed, following in itertools.pairwise(attempts):
        assert _ms(failed["nextDueAt"]) == _ms(failed["endedAt"]) + 120
        assert following["dueAt"] == failed["nextDueAt"]
        assert following["startedAt"] >= following["dueAt"]
    assert attempts[0]["error"]["code"] == "http_503"
    assert attempts[0]["response"]["body"] == "ok"
    assert (job["attempt"], job["maxAttempts"], job["held"]) == (3, 4, None)


def _ms(time: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(time).timestamp() * 1000)


def test_a_job_fails_after_retries_plus_one_attempts_and_can_be_retried_by_hand(tmp_path: Path) -> None:
    """Rule retry.limit, retry.by-hand."""
    answers = {"status": 500}
    with working(lambda _: answers["status"]) as worker:
        write_catalog(tmp_path, retries=1, delay=0)
        with serving(tmp_path, "--target", worker.url) as server:
            id_ = server.enqueue()
            job = server.wait_state(id_, "failed")
            assert [each["number"] for each in job["attempts"]] == [1, 2]
            assert job["attempts"][-1]["nextDueAt"] is None
            assert job["attempts"][-1]["reason"] == "no retries left (retries: 1)"
            answers["status"] = 204
            url = f"{server.url}/_localqueue/jobs/{id_}/retry"
            assert http.post(url, headers=JSON).status_code == 200
            job = server.wait_state(id_, "completed")
            assert [(each["round"], each["number"]) for each in job["attempts"]] == [(1, 1), (1, 2), (2, 1)]
            assert http.post(url, headers=JSON).status_code == 409


def test_connection_refused_is_a_failed_attempt(tmp_path: Path) -> None:
    """Rule deliver.refused."""
    write_catalog(tmp_path, retries=0)
    with serving(tmp_path, "--target", "http://127.0.0.1:9") as server:
        job = server.wait_state(server.enqueue(), "failed")
        assert job["attempts"][0]["error"]["code"] == "connect_refused"


def test_a_running_job_can_be_cancelled_and_its_attempt_is_cut_off(tmp_path: Path) -> None:
    """Rule states.cancelled."""
    release = threading.Event()
    with working(lambda _: 200 if release.wait(30) else 500) as worker:
        write_catalog(tmp_path, concurrency=1)
        with serving(tmp_path, "--target", worker.url) as server:
            first, second = server.enqueue(), server.enqueue()
            server.wait_state(first, "running")
            assert server.job(second)["state"] == "queued"
            for id_ in (second, first):
                url = f"{server.url}/_localqueue/jobs/{id_}/cancel"
                assert http.post(url, headers=JSON).json()["state"] == "cancelled"
            assert [each["outcome"] for each in server.job(first)["attempts"]] == ["cancelled"]
            assert server.job(second)["attempts"] == []
            release.set()
    assert len(worker.bodies) == 1


def test_no_more_attempts_than_concurrency_run_at_once_and_queues_do_not_hold_each_other_up(tmp_path: Path) -> None:
    """Rule deliver.concurrency."""
    release, lock = threading.Event(), threading.Lock()
    under_way: dict[str, int] = {"now": 0, "most": 0}

    def answer(job: dict[str, Any]) -> int:
        if job["queue"] == "other":
            return 200
        with lock:
            under_way["now"] += 1
            under_way["most"] = max(under_way.values())
        release.wait(30)
        with lock:
            under_way["now"] -= 1
        return 200

    with working(answer) as worker:
        write_catalog(tmp_path, concurrency=2)
        with serving(tmp_path, "--target", worker.url) as server:
            ids = [server.enqueue(n) for n in range(10)]
            server.wait_state(server.enqueue(queue="other"), "completed")
            counts = server.get("/queues")["queues"][1]["counts"]
            assert (counts["running"], counts["queued"]) == (2, 8)
            assert len(server.get("/jobs?state=running")["jobs"]) == 2
            assert len(server.get("/jobs?state=queued")["jobs"]) == 8
            release.set()
            for id_ in ids:
                server.wait_state(id_, "completed")
    assert under_way["most"] == 2
    assert sorted(job["data"] for job in worker.jobs if job["queue"] == "work") == list(range(10))


def test_jobs_start_in_the_order_in_which_they_were_enqueued(tmp_path: Path) -> None:
    """Rule deliver.order; with more jobs than memory holds."""
    release = threading.Event()
    with working(lambda _: 200 if release.wait(120) else 500) as worker:
        write_catalog(tmp_path, concurrency=1)
        with serving(tmp_path, "--target", worker.url, "--ephemeral", "--no-timeouts") as server:
            with client(server.url) as connection:
                for n in range(700):
                    body = {"namespace": "shop", "queue": "work", "data": n}
                    last = connection.post("/jobs", json=body).json()["id"]
            release.set()
            server.wait_state(last, "completed")
    assert [job["data"] for job in worker.jobs] == list(range(700))


def test_a_clean_stop_gives_grace_then_records_an_interruption_that_costs_no_retry(tmp_path: Path) -> None:
    """Rule stop.grace, deliver.interrupted."""
    hang, came = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> int:
        came.set()
        return 200 if hang.wait(30) else 500

    with working(answer) as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, "--grace", "0") as server:
            id_ = server.enqueue()
            assert came.wait(30)
        hang.set()
        with serving(tmp_path, "--target", worker.url) as server:
            job = server.wait_state(id_, "completed")
    assert [(each["number"], each["outcome"]) for each in job["attempts"]] == [(1, "interrupted"), (1, "completed")]


def test_new_jobs_are_refused_while_a_stop_waits_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    """Rule stop.signals."""
    hang, came = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> int:
        came.set()
        return 200 if hang.wait(30) else 500

    with working(answer) as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, "--grace", "600") as server:
            server.enqueue()
            assert came.wait(30)
            server.process.send_signal(signal.SIGTERM)
            body = {"namespace": "shop", "queue": "work"}

            def refused() -> bool:
                answer = http.post(f"{server.url}/jobs", json=body)
                return bool(answer.status_code == 503 and answer.json()["error"]["code"] == "shutting_down")

            until(refused, "new jobs are refused")
            server.process.send_signal(signal.SIGTERM)
            assert server.finish() == (0, "")
        hang.set()


def test_a_second_server_on_the_same_database_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    """Rule storage.one-server."""
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        code, error = Server(tmp_path, "--port", "0").finish()
        assert code == 1
        assert f"pid {server.process.pid}, port {server.ready['port']}" in error
        assert "Traceback" not in error


def test_a_port_in_use_is_refused_and_the_message_says_how_to_choose_another(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        code, error = Server(tmp_path, "--ephemeral", "--port", str(server.ready["port"])).finish()
        assert code == 1
        assert "--port" in error and "Traceback" not in error


def test_files_are_private_and_the_folder_ignores_itself_in_git(tmp_path: Path) -> None:
    """Rule security.files."""
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        server.enqueue()
        folder = tmp_path / ".localqueue"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / ".gitignore").read_text() == "*\n"
        for name in ("queue.db", "queue.db-wal", "queue.db.lock", "server.json"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert not (folder / "server.json").exists()


@pytest.mark.parametrize("kind", ["text", "foreign", "newer", "folder", "symlink"])
def test_a_file_that_isn_t_our_database_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    """Rule storage.foreign-file."""
    write_catalog(tmp_path)
    db = tmp_path / "my.db"
    if kind == "text":
        db.write_text("this is no database, it is a text of some length" * 100)
    elif kind == "folder":
        db.mkdir()
    elif kind == "symlink":
        db.symlink_to(tmp_path / "elsewhere")
    else:
        connection = sqlite3.connect(db)
        connection.execute("CREATE TABLE mine (x)")
        if kind == "newer":
            connection.execute("PRAGMA application_id=1280395842")
            connection.execute("PRAGMA user_version=99")
        connection.close()
    before = db.read_bytes() if db.is_file() else b""
    code, error = Server(tmp_path, "--port", "0", "--db", "my.db").finish()
    assert code == 1
    assert "my.db" in error and "Traceback" not in error
    assert (db.read_bytes() if db.is_file() else b"") == before


def test_the_newest_finished_jobs_are_kept_and_older_ones_pruned(tmp_path: Path) -> None:
    """Rule storage.retention."""
    with working() as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url, "--keep", "3") as server:
            for n in range(6):
                last = server.enqueue(n)
                server.wait_state(last, "completed")
            assert len(server.get("/jobs")["jobs"]) == 3
    connection = sqlite3.connect(tmp_path / ".localqueue" / "queue.db")
    rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("payloads", "attempts")]
    connection.close()
    assert rows == [3, 3]


def test_failed_jobs_are_pruned_last(tmp_path: Path) -> None:
    """Rule storage.retention."""
    with working(lambda job: 500 if job["data"] == "bad" else 200) as worker:
        write_catalog(tmp_path, retries=0)
        with serving(tmp_path, "--target", worker.url, "--keep", "3") as server:
            bad = [server.enqueue("bad") for _ in range(2)]
            for id_ in bad:
                server.wait_state(id_, "failed")
            for n in range(5):
                server.wait_state(server.enqueue(n), "completed")
            assert [job["id"] for job in server.get("/jobs?state=failed")["jobs"]] == bad[::-1]
            assert len(server.get("/jobs")["jobs"]) == 3


def test_an_edited_catalog_takes_effect_and_a_removed_queue_holds_its_jobs(tmp_path: Path) -> None:
    """Rule catalog.reload, catalog.held."""
    answers = {"status": 500}
    with working(lambda _: answers["status"]) as worker:
        path = write_catalog(tmp_path, delay=100_000)
        with serving(tmp_path, "--target", worker.url) as server:
            id_ = server.enqueue()
            server.wait_state(id_, "retrying")
            whole = path.read_text()
            path.write_text(whole.replace("name: work,", "name: work2,"))
            until(lambda: server.job(id_)["held"] == "queue_missing", "the job is held")
            path.write_text(whole.replace("retries: 3", "retries: x"))
            until(lambda: any(e["event"] == "catalog_refused" for e in server.events), "the edit is refused")
            path.write_text(whole)
            until(lambda: server.job(id_)["held"] is None, "the job is free again")


def test_a_deleted_database_ends_the_server_with_a_message(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path, "--db", "queue.db") as server:
        os.unlink(tmp_path / "queue.db")
        code, error = server.finish()
    assert code == 1
    assert "deleted" in error and "Traceback" not in error


def test_the_next_page_of_jobs_starts_after_the_cursor(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path, "--target", "http://127.0.0.1:9") as server:
        ids = [server.enqueue(n) for n in range(5)]
        first = server.get("/jobs?limit=3&queue=work&namespace=shop")
        second = server.get(f"/jobs?limit=3&after={first['next']}")
        assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
        assert second["next"] is None


def test_every_delivery_is_one_json_line_with_its_reason(tmp_path: Path) -> None:
    with working() as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url) as server:
            id_ = server.enqueue({"secret": 1})
            server.wait_state(id_, "completed")
            until(lambda: [e for e in server.events if e["event"] == "attempt"], "the delivery is told")
            event = next(e for e in server.events if e["event"] == "attempt")
    assert (event["jobId"], event["outcome"], event["number"]) == (id_, "completed", 1)
    assert "secret" not in json.dumps(server.events)


def test_a_target_that_is_localqueue_itself_is_refused(tmp_path: Path) -> None:
    port = str(free_port())
    write_catalog(tmp_path)
    code, error = Server(tmp_path, "--port", port, "--target", f"http://localhost:{port}").finish()
    assert code == 1 and "is localqueue itself" in error and "Traceback" not in error


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can fill another process's disk")
def test_a_full_disk_fails_the_request_loudly_loses_nothing_and_is_recovered_from(tmp_path: Path) -> None:
    """Rule storage.full-disk."""
    release, came = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> int:
        came.set()
        return 200 if release.wait(30) else 500

    with working(answer) as worker:
        write_catalog(tmp_path)
        with serving(tmp_path, "--target", worker.url) as server:
            kept = server.enqueue()
            assert came.wait(30)
            limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1024, limits[1]))
            body = {"namespace": "shop", "queue": "work"}
            refused = http.post(f"{server.url}/jobs", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_unavailable")
            assert http.get(f"{server.url}/health").status_code == 503
            release.set()
            until(lambda: any(e["event"] == "warning" for e in server.events), "it says that deliveries wait")
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
            assert len(server.wait_state(kept, "completed")["attempts"]) == 1
            server.wait_state(server.enqueue(), "completed")
            assert len(server.get("/jobs")["jobs"]) == 2


def test_a_closed_terminal_ends_it_well(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.finish() == (0, "")


def test_a_list_shows_payload_previews_and_the_last_outcomes(tmp_path: Path) -> None:
    """Rule states.lists: a preview is cut at whole characters, and a large payload has none."""
    write_catalog(tmp_path, retries=0)
    with (
        working(lambda body: 418 if body["data"] == "é" * 100 else 200) as worker,
        serving(tmp_path, "--target", worker.url) as server,
    ):
        ids = [server.enqueue(data) for data in ({"claimId": 7}, "é" * 100, "x" * 70_000)]
        for id_ in ids:
            server.wait_state(id_, "completed", "failed")
        listed = {job["id"]: job for job in server.get("/jobs")["jobs"]}
    found = [listed[id_] for id_ in ids]
    assert [job["preview"] for job in found] == ['{"claimId":7}', '"' + "é" * 79, None]
    assert [job["last"]["status"] for job in found] == [200, 418, 200]
    assert found[1]["last"] == {"outcome": "http_error", "status": 418, "code": "http_418"}
    assert found[0]["seq"] < found[1]["seq"] < found[2]["seq"]


def test_a_running_job_says_since_when(tmp_path: Path) -> None:
    """Rule states.lists."""
    write_catalog(tmp_path)
    release = threading.Event()
    with (
        working(lambda _: 200 if release.wait(30) else 500) as worker,
        serving(tmp_path, "--target", worker.url) as server,
    ):
        id_ = server.enqueue()
        running = server.wait_state(id_, "running")
        release.set()
        done = server.wait_state(id_, "completed")
    assert running["createdAt"] <= running["startedAt"] == done["attempts"][0]["startedAt"]
    assert done["startedAt"] is None
