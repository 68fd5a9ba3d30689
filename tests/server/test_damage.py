"""What others do to the files: a second name, a deleted lock or log, a payload that is missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from localqueue.catalog import loader
from localqueue.core.clock import WallClock
from localqueue.core.errors import DatabaseUnusable
from localqueue.core.settings import Settings
from localqueue.engine.engine import Engine
from localqueue.server.server import CHECK_LIMIT, ServerConfig, serve
from tests.support import JSON, Server, http, run_async, running_engine, serving, until, working, write_catalog

NOBODY = ("--target", "http://127.0.0.1:9")


@pytest.mark.parametrize("change", ["hard link", "no lock file"])
def test_a_second_server_on_one_file_is_refused_by_any_name_and_without_the_lock_file(
    tmp_path: Path, change: str
) -> None:
    """Rule storage.one-server."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--db", "one.db", *NOBODY) as server:
        other = "one.db" if change == "no lock file" else "two.db"
        if change == "no lock file":
            (tmp_path / "one.db.lock").unlink()
        else:
            os.link(tmp_path / "one.db", tmp_path / "two.db")
        code, error = Server(tmp_path, "--port", "0", "--db", other).finish()
        assert code == 1 and f"{other} is in use by another localqueue" in error
        assert "or start a second one: localqueue up --ephemeral --port 0" in error
        server.enqueue()


def killed(folder: Path) -> None:
    """Leave the database of a server that was killed behind, with jobs that are in its log only."""
    with serving(folder, "--db", "my.db", *NOBODY) as server:
        for _ in range(5):
            server.enqueue()
        server.kill()


def test_a_log_that_is_missing_after_a_crash_is_reported(tmp_path: Path) -> None:
    """Rule storage.log."""
    write_catalog(tmp_path)
    killed(tmp_path)
    (tmp_path / "my.db-wal").unlink()
    with serving(tmp_path, "--db", "my.db", *NOBODY) as server:
        told = until(lambda: [each for each in server.events if each["event"] == "warning"], "the warning")
        assert "my.db-wal is missing" in told[0]["message"]
    with serving(tmp_path, "--db", "my.db", *NOBODY) as server:  # after a clean stop there is no log
        server.enqueue()
        assert [each for each in server.events if each["event"] == "warning"] == []


def test_a_log_that_is_deleted_while_in_use_stops_the_server_and_loses_nothing(tmp_path: Path) -> None:
    """Rule storage.log."""
    write_catalog(tmp_path)
    server = Server(tmp_path, "--db", "my.db", "--port", "0", *NOBODY)
    server.wait_ready()
    for _ in range(5):
        server.enqueue()
    (tmp_path / "my.db-wal").unlink()
    code, error = server.finish()
    assert code == 1 and "was deleted while in use" in error
    with contextlib.closing(sqlite3.connect(tmp_path / "my.db")) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (5,)


def test_a_job_without_a_payload_fails_alone_and_the_damage_is_reported(tmp_path: Path) -> None:
    """Rule storage.damage."""
    write_catalog(tmp_path, retries=0)
    with working() as worker:
        with serving(tmp_path, "--db", "my.db", "--target", worker.url) as server:
            http.post(f"{server.url}/_localqueue/queues/shop/work/pause", headers=JSON).raise_for_status()
            ids = [server.enqueue() for _ in range(3)]
        with contextlib.closing(sqlite3.connect(tmp_path / "my.db")) as connection:
            connection.execute("DELETE FROM payloads WHERE seq = 2")
            connection.commit()
        with serving(tmp_path, "--db", "my.db", "--target", worker.url) as server:
            http.post(f"{server.url}/_localqueue/queues/shop/work/resume", headers=JSON).raise_for_status()
            for each, state in zip(ids, ("completed", "failed", "completed"), strict=True):
                server.wait_state(each, state)
            error = server.job(ids[1])["attempts"][0]["error"]
            assert error["code"] == "payload_missing"
            until(lambda: any("1 job without a payload" in str(each.get("message")) for each in server.events), "it")


def test_a_start_that_damage_prevents_names_the_file_and_a_way_out(tmp_path: Path) -> None:
    """Rule storage.damage."""
    catalog = write_catalog(tmp_path)

    async def start() -> None:
        async with running_engine(catalog, WallClock()):
            pass

    run_async(start())
    with (tmp_path / "queue.db").open("r+b") as file:
        file.seek(4096)  # the first page, which has the names of the tables, is left
        file.write(b"\xff" * 8192)
    with pytest.raises(DatabaseUnusable, match="malformed") as caught:
        run_async(start())
    assert f"If {tmp_path / 'queue.db'} is damaged, keep a copy" in caught.value.hint


@pytest.mark.parametrize(("limit", "is_checked"), [(1, False), (CHECK_LIMIT, True)])
def test_the_start_says_how_to_check_a_file_that_is_too_large_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, is_checked: bool
) -> None:
    """Rule storage.damage: the write-ahead log grows during a check."""
    path, checked, reported = write_catalog(tmp_path), [], []
    monkeypatch.setattr("localqueue.server.server.CHECK_LIMIT", limit)

    async def check(engine: Engine) -> str:
        checked.append(engine)
        return "ok"

    async def use(*_: object) -> None:
        await asyncio.sleep(0)  # the check starts before `use`

    monkeypatch.setattr(Engine, "check_storage", check)
    settings = Settings(ephemeral=True, port=0)
    config = ServerConfig(settings, lambda: loader.load([path], target=NOBODY[1]), [path], reported.append)
    run_async(serve(config, use))
    assert bool(checked) is is_checked
    assert any("PRAGMA quick_check" in str(event) for event in reported) is not is_checked


def test_a_hangup_that_is_ignored_as_under_nohup_stays_ignored(tmp_path: Path) -> None:
    """Rule stop.signals."""
    write_catalog(tmp_path)
    command = ["nohup", sys.executable, "-m", "localqueue", "up", "--port", "0", "--log", "json", *NOBODY]
    options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **options) as server:  # type: ignore[call-overload]
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        server.send_signal(signal.SIGHUP)
        http.get(f"{url}/_localqueue/status").raise_for_status()
        server.terminate()
        assert [json.loads(line)["event"] for line in server.stdout] == ["stopping"]
