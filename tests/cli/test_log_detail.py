"""The log under load and by choice: bursts are summed up, failures always have their line."""

from __future__ import annotations

import io
import math
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from localqueue.cli.output.burst import LIMIT, BurstLimit
from localqueue.cli.output.event_log import MANY_FAILED
from localqueue.cli.server_options import make_log
from localqueue.core import events
from localqueue.core.settings import Settings
from tests.cli.terminal import localqueue_on_terminal
from tests.forking import ForkedPopen
from tests.support import http, localqueue, until, working, write_catalog


def test_a_burst_has_a_limit_each_second_and_its_rest_is_counted_by_queue() -> None:
    """Rule cli.burst."""
    lines: list[str] = []
    now = [100.0]
    limit = BurstLimit(lines.append, lambda: now[0])
    assert [limit.admits("work") for _ in range(LIMIT + 5)] == [True] * LIMIT + [False] * 5
    assert limit.admits("other") is False and lines == []
    now[0] += 1
    assert limit.admits("work") is True
    assert lines == ["other: 1 more delivery completed", "work: 5 more deliveries completed"]
    limit.flush()
    assert len(lines) == 2


@pytest.mark.parametrize(("has_summary", "logged"), [(False, ["reset: every job is deleted"]), (True, [])])
def test_the_log_of_up_says_that_a_reset_deleted_the_jobs(has_summary: bool, logged: list[str]) -> None:
    """Rule reset.state: under `exec`, a suite may reset before each test."""
    lines: list[str] = []
    make_log(Settings(), lines.append, io.StringIO(), has_summary=has_summary)(events.WasReset())
    assert lines == logged


@pytest.mark.parametrize(
    ("clock", "has_summary", "logged"),
    [
        ("wall", False, ["clock advanced: times are now 1 min 5 s ahead of real time"]),
        ("virtual", False, []),  # it moves only when it is advanced
        ("wall", True, []),
    ],
)
def test_the_log_of_up_says_that_the_wall_clock_was_advanced(clock: str, has_summary: bool, logged: list[str]) -> None:
    """Rule time.wall-advance: its times jump; under `exec`, a suite may move time in each test."""
    lines: list[str] = []
    log = make_log(Settings(clock=clock), lines.append, io.StringIO(), has_summary=has_summary)
    log(events.TimeMoved(0, 65_000))
    assert lines == logged


def test_a_fan_out_fits_a_screen_and_its_failures_have_their_lines(tmp_path: Path, monkeypatch: Any) -> None:
    """Rule cli.burst."""
    write_catalog(tmp_path, retries=0, concurrency=50)
    monkeypatch.chdir(tmp_path)
    with (
        working(lambda job: 500 if job["data"] in (7, 333) else 200) as worker,
        localqueue_on_terminal("up", "--port", "0", "--ephemeral", "--target", worker.url) as terminal,
    ):
        terminal.wait_for("export IEC_QUEUE_URL=")
        url = re.search(r"IEC_QUEUE_URL=(\S+)", "\n".join(terminal.lines))
        assert url is not None
        began = time.monotonic()
        threads = [threading.Thread(target=enqueue, args=(url[1], range(n, 600, 4))) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(worker.bodies) == 600, "all are delivered")
        terminal.type("\x03")
        assert terminal.wait_end() == 0
        seconds = math.ceil(time.monotonic() - began)
        lines = "\n".join(terminal.lines).replace("^C", "").splitlines()  # the echo may stand within a line
        assert sum("failed" in line and "500" in line for line in lines) == 2
        deliveries = [line for line in lines if "attempt 1/1" in line]
        summed = [int(count) for count in re.findall(r"work: (\d+) more deliver", "\n".join(lines))]
        assert len(deliveries) + sum(summed) == 600
        assert len(deliveries) <= LIMIT * seconds + 2  # the failures don't count


def enqueue(url: str, numbers: range) -> None:
    with httpx.Client(trust_env=False) as client:
        for number in numbers:
            job = {"namespace": "shop", "queue": "work", "data": number}
            client.post(f"{url}/jobs", json=job).raise_for_status()


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), ["good 1/2", "late 1/2", "late 2/2", "bad 1/2", "bad 2/2"]),
        (("--log", "failures"), ["late 1/2", "bad 1/2", "bad 2/2"]),
        (("--quiet",), ["bad 2/2"]),
    ],
)
def test_the_log_has_what_was_chosen(tmp_path: Path, options: tuple[str, ...], shown: list[str]) -> None:
    """Rule cli.log: `--quiet` still tells permanent failures."""
    write_catalog(tmp_path, retries=1, delay=10)
    names: dict[str, str] = {}

    def answer(job: dict[str, Any]) -> int:
        return 500 if job["data"] == "bad" or (job["data"] == "late" and job["attempt"] == 1) else 200

    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with (
        working(answer) as worker,
        ForkedPopen(["up", "--port", "0", "--target", worker.url, *options], cwd=tmp_path, **pipe) as process,
    ):
        assert process.stdout is not None
        url = next(line for line in process.stdout if "export IEC_QUEUE_URL=" in line).split("=", 1)[1].strip()
        for data in ("good", "late", "bad"):
            body = {"namespace": "shop", "queue": "work", "data": data}
            names[http.post(f"{url}/jobs", json=body).json()["id"][-8:]] = data
        states = f"{url}/_localqueue/jobs?state="
        until(lambda: len(http.get(f"{states}completed").json()["jobs"]) == 2, "two are completed")
        until(lambda: len(http.get(f"{states}failed").json()["jobs"]) == 1, "one has failed")
        process.send_signal(2)
        text = process.stdout.read()
    found = re.findall(r"([0-9a-f]{8})  attempt (\d/\d)", text)
    assert sorted(f"{names[short]} {number}" for short, number in found) == sorted(shown)


def test_many_failed_jobs_have_a_hint_which_ten_times_as_many_repeat(tmp_path: Path) -> None:
    """Rule cli.many-failed: a job that fails again counts once; the hint is a command that lists the causes."""
    write_catalog(tmp_path, retries=0, concurrency=1)
    first, second, _ = MANY_FAILED
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with (
        working(lambda _: 500) as worker,
        ForkedPopen(["up", "--port", "0", "--target", worker.url, "--quiet"], cwd=tmp_path, **pipe) as process,
    ):
        assert process.stdout is not None
        url = next(line for line in process.stdout if "export IEC_QUEUE_URL=" in line).split("=", 1)[1].strip()

        def fail(count: int) -> None:
            enqueue(url, range(count))
            http.post(f"{url}/_localqueue/drain", json={}).raise_for_status()

        fail(first - 1)
        http.post(f"{url}/_localqueue/jobs/retry", json={}).raise_for_status()
        fail(1)
        fail(second - first + 2)
        causes = localqueue("jobs", "--failed", "--by-error", "--url", url).stdout
        http.post(f"{url}/_localqueue/reset", json={}).raise_for_status()
        fail(first - 1)
        process.send_signal(2)
        lines = process.stdout.read().splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    command = f"localqueue jobs --failed --by-error --url {url}"
    assert notes == [f"note: {count} jobs failed. To list the causes: {command}" for count in (first, second)]
    assert causes.startswith(f"{second + 2} jobs  shop/work  500  ")
    ends = [line for line in lines if "attempt 1/1" in line or line.startswith("note: ")]
    assert ends.index(notes[0]) == 2 * (first - 1) + 1
