"""The exit code of `exec`, on both clocks: what counts as a failure, and which line says so."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_exec import ENV, EXEC, execute
from tests.support import working, write_catalog

PROGRAM = """
import http.server, json, os, sys, threading, urllib.error, urllib.request

open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

def call(method, path, body={}):
    headers = {"Content-Type": "application/json"}
    url = os.environ["IEC_QUEUE_URL"] + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    return json.loads(open_url(request).read())

def control(method, path, body={}):
    return call(method, "/_localqueue" + path, body)

def enqueue(queue="work"):
    return call("POST", "/jobs", {"namespace": "shop", "queue": queue})["id"]

def service(status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if status is None:
                hang.wait(30)
            self.send_response(status or 200)
            self.end_headers()
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control("PUT", "/targets/shop", {"url": f"http://127.0.0.1:{server.server_port}"})

def wait(state, id_):
    if control_json("/clock")["mode"] == "virtual":
        control("POST", "/clock/advance", {"ms": 1000})
    while control_json(f"/jobs/{id_}")["state"] != state:
        pass

def control_json(path):
    return json.loads(open_url(os.environ["IEC_QUEUE_URL"] + "/_localqueue" + path).read())

hang = threading.Event()
"""
SUCCEEDS = "service(200); wait('completed', enqueue())"
FAILS = "control('PATCH', '/queues/shop/work', {'retries': 0}); service(500); wait('failed', enqueue())"
TIMES_OUT = "control('PATCH', '/queues/shop/work', {'retries': 0, 'timeoutMs': 200}); service(None)"
REFUSED = """
try:
    enqueue("wrok")
except urllib.error.HTTPError:
    pass
"""


@dataclass(frozen=True)
class Case:
    """What COMMAND does, the expected exit code, and a part of the line that says why."""

    name: str
    program: str
    code: int
    line: str
    options: tuple[str, ...] = ()


INSIDE = [
    Case("its jobs complete and the service closes", SUCCEEDS, 0, "localqueue: 1 job: 1 completed"),
    Case("a job fails", FAILS, 1, "exit code 1: 1 job failed (to accept that: --allow-failed)"),
    Case("a job fails, and that is allowed", FAILS, 0, "localqueue: 1 job: 1 failed", ("--allow-failed",)),
    Case("a job fails before a reset", f"{FAILS}; control('POST', '/reset')", 1, "exit code 1: 1 job failed"),
    Case("a handler times out", f"{TIMES_OUT}; wait('failed', enqueue())", 1, "timed out after 200 ms"),
    Case("a job is left after a failed attempt", "service(500); wait('retrying', enqueue())", 1,
         "1 job left after a failed attempt"),
    Case("nothing ever listens", "enqueue()", 1, "exit code 1: jobs were enqueued for a service that never listened"),
    Case("nothing ever listens, and failures are allowed", "enqueue()", 1, "for a service that never listened",
         ("--allow-failed",)),
    Case("a paused queue has a job", f"{SUCCEEDS}; control('POST', '/queues/shop/work/pause'); enqueue()", 0,
         "held: 1 job in work: the queue is paused"),
    Case("a request is refused", f"{SUCCEEDS}{REFUSED}", 0, "refused: 1 request: unknown_queue: unknown queue 'wrok'"),
    Case("no job is enqueued", "pass", 0, "no jobs were enqueued"),
    Case("COMMAND fails", f"{FAILS}; sys.exit(7)", 7, "localqueue: 1 job: 1 failed"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_catalog(tmp_path, delay=600_000)
    return tmp_path


@pytest.mark.parametrize("clock", ["wall", "virtual"])
@pytest.mark.parametrize("case", INSIDE, ids=lambda case: case.name)
def test_the_result_with_a_service_inside_command(folder: Path, case: Case, clock: str) -> None:
    """Rule exec.exit-code."""
    (folder / "program.py").write_text(PROGRAM + case.program)
    options = ("--clock", clock, "--target", "http://localhost:9", *case.options)
    found = execute(folder, *options, sys.executable, "program.py")
    assert (found.returncode, case.line in found.stderr) == (case.code, True), found.stderr


def test_many_failed_jobs_get_no_hint_to_ask_a_server_that_ends(folder: Path) -> None:
    """Rule cli.many-failed."""
    (folder / "program.py").write_text(
        f"{PROGRAM}{FAILS}\nfor id_ in [enqueue() for _ in range(20)]: wait('failed', id_)"
    )
    found = execute(folder, "--target", "http://localhost:9", sys.executable, "program.py")
    assert "21 jobs: 21 failed" in found.stderr and "To list the causes" not in found.stderr


OUTSIDE = [
    Case("its jobs complete", "enqueue()", 0, "localqueue: 1 job: 1 completed"),
    Case("a job is unfinished in time", "enqueue('other')", 1, "jobs did not finish in time (see --wait-timeout)",
         ("--wait-timeout", "100ms")),
    Case("jobs aren't waited for", "enqueue('other')", 0, "not waited for: 1 job in other", ("--no-wait",)),
    Case("a paused queue has a job", "control('POST', '/queues/shop/work/pause'); enqueue()", 0, "the queue is paused"),
]  # fmt: skip


@pytest.mark.parametrize("clock", ["wall", "virtual"])
@pytest.mark.parametrize("case", OUTSIDE, ids=lambda case: case.name)
def test_the_result_with_a_service_outside_command(folder: Path, case: Case, clock: str) -> None:
    """Rule exec.exit-code, exec.wait: `other` hangs until the run has ended."""
    release = threading.Event()
    (folder / "program.py").write_text(PROGRAM + case.program)
    with working(lambda job: 200 if job["queue"] == "work" or release.wait(30) else 500) as worker:
        options = ("--clock", clock, "--target", worker.url, *case.options)
        found = execute(folder, *options, sys.executable, "program.py")
        release.set()
    assert (found.returncode, case.line in found.stderr) == (case.code, True), found.stderr
    assert "add: --clock virtual" not in found.stderr, "no job waits for a retry"


def test_command_ends_if_exec_is_killed(folder: Path) -> None:
    """Rule exec.ends: it must not take the jobs of the next run."""
    os.mkfifo(folder / "held")
    is_guarded = "curl -sf --noproxy '*' -o status.json $IEC_QUEUE_URL/_localqueue/status"  # responds after the start
    command = [*EXEC, "sh", "-c", f"{is_guarded}; exec 3>held; sleep 600"]
    killed = subprocess.Popen(command, cwd=folder, env=ENV, stderr=subprocess.DEVNULL)
    with (folder / "held").open("rb") as held:  # open once COMMAND runs
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
        has_ended, _, _ = select.select([held], [], [], 30)
        assert has_ended and held.read() == b""  # the last process that held it has ended
