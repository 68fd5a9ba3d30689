"""`localqueue exec`, by real processes and on a real terminal: the rules of `exec.*`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from localqueue.cli import child_process
from tests import forking
from tests.cli.terminal import terminal
from tests.support import WAIT_S, client, run_async, working, write_catalog

EXEC = (*forking.COMMAND, "exec")
ENV = {name: value for name, value in os.environ.items() if name not in ("IEC_QUEUE_URL", "SERVICE_NAMESPACE")}
VIRTUAL = ("--clock", "virtual")
ENQUEUE = """curl -sf --noproxy '*' -o id.txt -H 'Content-Type: application/json' \
    -d '{"namespace": "shop", "queue": "work"}' $IEC_QUEUE_URL/jobs"""
SERVICE_WITHIN = """
import http.server, json, os, sys, threading, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if sys.argv[1] == "die" else int(sys.argv[1]))
        self.end_headers()
    def log_message(self, *_):
        pass

def call(method, path, body={}):
    url, headers = os.environ["IEC_QUEUE_URL"] + path, {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    return json.loads(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read())

namespace = os.environ["SERVICE_NAMESPACE"]
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
call("PUT", f"/_localqueue/targets/{namespace}", {"url": f"http://127.0.0.1:{server.server_port}"})
call("POST", "/jobs", {"namespace": namespace, "queue": "work"})
if sys.argv[1] == "die":
    call("POST", "/_localqueue/clock/advance", {"ms": 0})
    sys.exit()
print(len(call("POST", "/_localqueue/drain")["attempts"]), "attempts")
if sys.argv[2:] == ["reset"]:
    call("POST", "/_localqueue/reset")
if sys.argv[2:] == ["enqueue"]:
    call("POST", "/jobs", {"namespace": namespace, "queue": "work"})
"""
NOTE_SIGNALS = """
import os, signal, sys

def note(kind, _):
    print("got", signal.Signals(kind).name, flush=True)

signal.alarm(30)  # nobody but the test ends it
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGHUP, note)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
if sys.argv[1:] == ["read"]:
    sys.stdin.readline()  # what reads is lent the terminal
print(f"ready {os.getppid()};", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_catalog(tmp_path)
    (tmp_path / "service.py").write_text(SERVICE_WITHIN)
    (tmp_path / "note.py").write_text(NOTE_SIGNALS)
    return tmp_path


def execute(
    folder: Path, *arguments: str, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return forking.run("exec", *arguments, given=stdin, timeout=WAIT_S, cwd=folder, env=ENV | (env or {}))


def service(*arguments: str) -> tuple[str, ...]:
    return ("--", sys.executable, "service.py", *arguments)


# what COMMAND gets


def test_command_has_its_own_input_and_output_and_ours_goes_to_standard_error(folder: Path) -> None:
    """Rule exec.output: standard output is COMMAND's alone; options may follow it without `--`."""
    found = execute(folder, "sh", "-c", "cat; echo $0 >&2", "--quiet", stdin="hello\n")
    assert (found.returncode, found.stdout) == (0, "hello\n")
    ours, command, empty, last = found.stderr.splitlines()
    assert ours.startswith("localqueue: http://localhost:") and ours.endswith(" for shop at http://localhost:3000")
    assert (command, empty, last) == ("--quiet", "", "localqueue: no jobs were enqueued")


def test_the_queue_is_on_a_free_port_and_leaves_nothing_behind(folder: Path) -> None:
    """Rule exec.defaults: unless told otherwise, by an option or by the environment."""
    before = set(folder.iterdir())
    first = execute(folder, "sh", "-c", "echo $IEC_QUEUE_URL")
    assert first.stdout != "http://localhost:4327\n"
    assert set(folder.iterdir()) == before
    execute(folder, *VIRTUAL, "sh", "-c", ENQUEUE, env={"LOCALQUEUE_DB": "kept.db"})
    again = execute(folder, *VIRTUAL, "--db", "kept.db", "true")
    assert "localqueue: 1 job: 1 queued" in again.stderr


@pytest.mark.parametrize("exported", [None, "second", "third"])
def test_command_gets_no_namespace_if_there_are_several_services(tmp_path: Path, exported: str | None) -> None:
    """Rule exec.environment: it is said, and not inherited, because it would be wrong for all services but one."""
    for name, queues in (("a", ""), ("first", "{name: x, endpoint: /x}"), ("second", "{name: x, endpoint: /x}")):
        (tmp_path / name).mkdir()
        text = f"{{apiVersion: v1, kind: Component, metadata: {{name: {name}}}, spec: {{queues: [{queues}]}}}}"
        (tmp_path / name / "catalog-info.yaml").write_text(text)
    env = {"SERVICE_NAMESPACE": exported} if exported else {}
    result = execute(tmp_path, "sh", "-c", "echo $SERVICE_NAMESPACE", env=env)
    assert result.stdout == "\n"
    text = "SERVICE_NAMESPACE isn't set for COMMAND, because there are several services: first, second"
    assert f"localqueue: {text}\n" in result.stderr


def test_command_gets_the_namespace_of_the_only_service(folder: Path) -> None:
    """Rule exec.environment."""
    found = execute(folder, "sh", "-c", "echo $SERVICE_NAMESPACE $IEC_QUEUE_URL")
    assert found.stdout.startswith("shop http://localhost:")
    assert execute(folder, "--namespace", "mine", "sh", "-c", "echo $SERVICE_NAMESPACE").stdout == "mine\n"


# how it ends


def test_the_exit_code_is_that_of_command(folder: Path) -> None:
    """Rule exec.exit-code: 128 and the number of the signal that killed it."""
    assert execute(folder, "sh", "-c", "exit 5").returncode == 5
    assert execute(folder, "sh", "-c", "kill -KILL $$").returncode == 128 + 9
    assert execute(folder).returncode == 2


@pytest.mark.parametrize(
    ("name", "content", "mode", "code", "message"),
    [
        ("no-such-command", None, 0, 127, "command not found: no-such-command"),
        ("./plain", "", 0o644, 126, "can't run ./plain: it isn't executable"),
        ("./script", "#!/no/such/interpreter\n", 0o755, 126, "the interpreter in its first line doesn't exist"),
        ("./text", "echo", 0o755, 126, "can't run ./text: Exec format error"),
    ],
)
def test_a_command_that_can_not_run_is_reported_as_shells_do(
    folder: Path, name: str, content: str | None, mode: int, code: int, message: str
) -> None:
    """Rule exec.exit-code: 127 if it was not found, 126 if it can't be executed."""
    if content is not None:
        (folder / name).write_text(content)
        (folder / name).chmod(mode)
    found = execute(folder, name)
    assert found.returncode == code
    assert found.stderr.splitlines()[1].endswith(message)
    assert "Traceback" not in found.stderr


def test_nothing_is_run_beside_a_wrong_catalog(folder: Path) -> None:
    """Rule exec.exit-code: 1 if the queue can't start."""
    (folder / "catalog-info.yaml").write_text("kind: Component\nspec: {queues: [{name: x}]}\n")
    found = execute(folder, "touch", "ran")
    assert (found.returncode, (folder / "ran").exists()) == (1, False)


def test_a_failed_job_is_reported_in_one_line_and_fails_the_run(folder: Path) -> None:
    """Rule exec.failed, exec.ledger: a COMMAND that failed itself keeps its exit code."""
    found = execute(folder, *VIRTUAL, "--quiet", *service("503"))
    assert (found.returncode, found.stdout) == (1, "4 attempts\n")
    ledger, rest = found.stderr.splitlines()[2:6], found.stderr.splitlines()[6:]
    assert ledger[0] == "+0.000s  work#1  1/4  http_error 503  next +0.050s"
    assert ledger[3] == "+0.150s  work#1  4/4  http_error 503  failed"
    assert rest[0].startswith("failed: work#1 ") and rest[0].endswith(" after 4 attempts: the service responded 503")
    assert rest[1:] == [
        "localqueue: 1 job: 1 failed",
        "localqueue: exit code 1: 1 job failed (to accept that: --allow-failed)",
    ]
    assert execute(folder, *VIRTUAL, "--allow-failed", *service("503")).returncode == 0
    assert execute(folder, *VIRTUAL, "sh", "-c", f"{sys.executable} service.py 503; exit 4").returncode == 4


def test_an_explanation_names_no_command_that_needs_the_ended_queue(folder: Path) -> None:
    """Rule explain.log."""
    found = execute(folder, *VIRTUAL, *service("422"))
    assert "note: shop/work: the service doesn't accept the body." in found.stderr
    assert "localqueue job" not in found.stderr


def test_failed_jobs_of_an_earlier_run_do_not_count_but_those_before_a_reset_do(folder: Path) -> None:
    """Rule exec.failed: a test that resets between its cases must not hide the failures of the earlier ones."""
    kept = (*VIRTUAL, "--db", "kept.db")
    assert [execute(folder, *kept, *arguments).returncode for arguments in (service("503"), ("true",))] == [1, 0]
    found = execute(folder, *VIRTUAL, *service("503", "reset"))
    assert (found.returncode, found.stdout) == (1, "4 attempts\n")
    assert "failed: work#1 " in found.stderr and "localqueue: no jobs were enqueued\n" in found.stderr
    assert execute(folder, *VIRTUAL, "--allow-failed", *service("503", "reset")).returncode == 0


def test_with_json_every_line_of_localqueue_is_an_object(folder: Path) -> None:
    """Rule exec.output."""
    found = execute(folder, *VIRTUAL, "--log", "json", *service("503", "enqueue"))
    lines = [json.loads(line) for line in found.stderr.splitlines()]
    names = ["ready", *["attempt"] * 4, *["ledger"] * 4, "failed", "left", "ended"]
    assert [line["event"] for line in lines] == names
    assert lines[-3]["error"] == {"code": "http_503", "message": "the service responded 503"}
    assert (lines[-2]["queue"], lines[-2]["jobs"], lines[-2]["reason"]) == ("work", 1, "not delivered")
    assert (lines[-1]["exitCode"], lines[-1]["jobs"]["failed"], lines[-1]["timedOut"]) == (1, 1, False)


# the jobs that are left when it has ended


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_exec_waits_for_jobs_while_the_service_responds(folder: Path, clock: str) -> None:
    """Rule exec.wait: on the virtual clock they are drained; a handler may answer first and enqueue after."""
    fan_out: list[threading.Thread] = []
    may_enqueue = threading.Event()

    def enqueue() -> None:
        with client((folder / "url.txt").read_text().strip()) as connection:
            connection.get("/health")  # connected before, so that a busy machine enqueues soon after the response, too
            may_enqueue.wait(WAIT_S)
            connection.post("/jobs", json={"namespace": "shop", "queue": "other"})

    def answer(job: dict[str, Any]) -> int:
        if job["queue"] == "work" and job["attempt"] == 1:
            fan_out.append(threading.Thread(target=enqueue))
            fan_out[-1].start()
            return 503
        if job["queue"] == "work":
            may_enqueue.set()
        return 200

    with working(answer) as worker:
        command = f"echo $IEC_QUEUE_URL > url.txt; {ENQUEUE}"
        found = execute(folder, "--clock", clock, "--target", worker.url, "sh", "-c", command)
        fan_out[0].join()
    assert found.returncode == 0, found.stderr
    assert [job["queue"] for job in worker.jobs] == ["work", "work", "other"]
    assert found.stderr.endswith("localqueue: 2 jobs: 2 completed\n")


def test_jobs_that_take_too_long_fail_the_run(tmp_path: Path) -> None:
    """Rule exec.wait: at most --wait-timeout."""
    write_catalog(tmp_path, delay=3_600_000)
    with working(lambda _: 503) as worker:
        failed_once = "until curl -s --noproxy '*' $IEC_QUEUE_URL/_localqueue/jobs | grep -q retrying; do :; done"
        command = f"{ENQUEUE} && {failed_once}"
        arguments = ("--target", worker.url, "--wait-timeout", "100ms", "sh", "-c", command)
        found = execute(tmp_path, *arguments)
        unwaited = execute(tmp_path, "--no-wait", *arguments)
    assert found.returncode == 1
    assert "timed out: 1 job in work, 1 after a failed attempt\n" in found.stderr
    assert "exit code 1: jobs did not finish in time (see --wait-timeout)" in found.stderr
    assert found.stderr.endswith("; to run them without the delays, add: --clock virtual\n")
    assert "not waited for: 1 job in work" in unwaited.stderr and "--clock virtual" not in unwaited.stderr


def test_jobs_without_an_attempt_for_a_service_that_ended_with_command_do_not_count_as_failed(folder: Path) -> None:
    """Rule exec.gone: they are reported as not delivered."""
    found = execute(folder, *VIRTUAL, *service("200", "enqueue"))
    assert (found.returncode, found.stdout) == (0, "1 attempts\n")
    assert "not delivered: 1 job in work: no service is listening on http://127.0.0.1:" in found.stderr
    assert found.stderr.endswith("localqueue: 2 jobs: 1 queued, 1 completed\n")


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_a_service_that_never_listened_fails_the_run(tmp_path: Path, clock: str) -> None:
    """Rule exec.never-listened: whether or not attempts were made, and even with --allow-failed."""
    write_catalog(tmp_path, delay=3_600_000)
    options = ("--clock", clock, "--allow-failed", "--target", "http://localhost:9")
    found = execute(tmp_path, *options, "sh", "-c", ENQUEUE)
    assert found.returncode == 1
    assert ": no service ever listened on http://localhost:9\n" in found.stderr
    assert "exit code 1: jobs were enqueued for a service that never listened\n" in found.stderr


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_a_service_that_dies_in_a_job_fails_the_run(folder: Path, clock: str) -> None:
    """Rule exec.left-after-failure: its job is left after a failed attempt."""
    write_catalog(folder, delay=3_600_000)
    found = execute(folder, "--clock", clock, *service("die"))
    assert found.returncode == 1
    assert "not delivered: 1 job in work, 1 after a failed attempt: no service is listening on" in found.stderr
    assert "1 job left after a failed attempt (to accept that: --allow-failed)\n" in found.stderr
    assert execute(folder, "--clock", clock, "--allow-failed", *service("die")).returncode == 0


def test_refused_requests_are_in_the_summary(folder: Path) -> None:
    """Rule enqueue.rejected."""
    wrong = ENQUEUE.replace('"queue": "work"', '"queue": "wrok"')
    assert wrong != ENQUEUE
    found = execute(folder, *VIRTUAL, "sh", "-c", f"{wrong.replace('-sf', '-s')}; {wrong.replace('-sf', '-s')}")
    assert found.returncode == 0
    assert "refused: POST /jobs: unknown_queue: unknown queue 'wrok'; declared: work, other\n" in found.stderr
    assert "\nrefused: 2 requests: unknown_queue: unknown queue 'wrok'; declared: work, other\n" in found.stderr


def test_running_attempts_are_not_waited_for_with_no_wait(folder: Path) -> None:
    """Rule exec.wait: they are cut off, and the summary is the last line all the same."""
    over = threading.Event()

    def answer(_: dict[str, Any]) -> int:
        (folder / "under-way").touch()
        over.wait(WAIT_S)
        return 200

    with working(answer) as worker:
        command = f"{ENQUEUE}; until [ -e under-way ]; do sleep 0.01; done"
        found = execute(folder, "--no-wait", "--target", worker.url, "sh", "-c", command)
        over.set()
    assert found.returncode == 0
    assert found.stderr.endswith("not waited for: 1 job in work\nlocalqueue: 1 job: 1 running\n")


def test_command_can_open_as_many_files_as_before(folder: Path) -> None:
    """Rule exec.environment."""
    command = f"ulimit -Sn 512; {shlex.join([*EXEC, 'sh', '-c', 'ulimit -n'])}"
    found = subprocess.run(["sh", "-c", command], cwd=folder, env=ENV, capture_output=True, text=True, check=True)
    assert found.stdout == "512\n"


def test_a_paused_queue_is_not_waited_for(folder: Path) -> None:
    """Rule exec.wait: held jobs are reported."""
    pause = "curl -sf --noproxy '*' -H 'Content-Type: application/json' -X POST"
    pause += " $IEC_QUEUE_URL/_localqueue/queues/shop/work/pause"
    with working() as worker:
        found = execute(folder, *VIRTUAL, "--target", worker.url, "sh", "-c", f"{pause}; {ENQUEUE}")
    assert found.returncode == 0
    assert "held: 1 job in work: the queue is paused\n" in found.stderr


# signals, and what COMMAND leaves behind


def test_each_signal_reaches_command_once(folder: Path) -> None:
    """Rule exec.signals: sent to exec alone, or to its whole process group."""
    with forking.ForkedPopen(
        ["exec", sys.executable, "note.py"],
        cwd=folder,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "got SIGINT\n"
        os.kill(process.pid, signal.SIGHUP)
        assert process.stdout.readline() == "got SIGHUP\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == ""
    assert process.returncode == 7


def test_processes_that_command_leaves_behind_are_ended(folder: Path) -> None:
    """Rule exec.ends: its output is at its end only once all of it has ended."""
    found = execute(folder, "sh", "-c", "sleep 60 & echo started")
    assert (found.returncode, found.stdout) == (0, "started\n")
    assert "localqueue: ended the processes that COMMAND had left running\n" in found.stderr


def test_a_process_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule exec.ends."""
    monkeypatch.setattr(child_process, "END_S", 0.05)
    read, write = os.pipe()
    os.set_inheritable(write, True)

    async def main() -> int:
        started = child_process.Child(["sh", "-c", "trap '' TERM; sleep 30 & exit 3"], os.environ)
        os.close(write)
        code = await started.wait()
        assert await started.end()
        return code

    assert run_async(main()) == 3
    with open(read) as pipe:
        assert pipe.read() == ""  # the last one that held it has ended


def test_command_is_ended_when_the_queue_breaks(folder: Path) -> None:
    """Rule exec.ends: the exit code is 1."""
    found = execute(folder, "--db", "jobs/queue.db", "sh", "-c", "rm -r jobs; sleep 60")
    assert found.returncode == 1
    assert "Traceback" not in found.stderr


# on a terminal


@pytest.mark.parametrize("how", [(), ("read",)])
def test_a_terminal_s_ctrl_c_reaches_command_once(folder: Path, how: tuple[str, ...]) -> None:
    """Rule exec.terminal, exec.signals: whether it reads from the terminal or not."""
    with terminal(folder, [*EXEC, sys.executable, "note.py", *how], ENV) as found:
        if how:
            found.wait_for("localqueue: http")
            found.type("a line\n")
        found.wait_for(";")
        found.type("\x03")
        found.wait_for("got SIGINT")
        os.kill(int(found.screen.split("ready ")[1].split(";")[0]), signal.SIGTERM)
        assert found.wait_end() == 7
    assert found.screen.count("got") == 1


def test_exec_shows_the_jobs_it_waits_for_and_ctrl_c_ends_the_wait(tmp_path: Path) -> None:
    """Rule exec.terminal, exec.exit-code."""
    write_catalog(tmp_path, delay=3_600_000)
    with (
        working(lambda _: 503) as worker,
        terminal(tmp_path, [*EXEC, "--target", worker.url, "sh", "-c", ENQUEUE], ENV) as found,
    ):
        found.wait_for("localqueue: waiting for jobs: 1 retrying (Ctrl-C to stop waiting)")
        found.type("\x03")
        assert found.wait_end() == 128 + signal.SIGINT
    assert "not waited for: 1 job in work, 1 after a failed attempt\n" in found.screen


def test_command_reads_from_the_terminal_and_can_be_stopped_and_resumed(folder: Path) -> None:
    """Rule exec.terminal: ^Z stops both, `fg` resumes both."""
    env = ENV | {"PS1": "prompt> ", "TERM": "dumb"}
    with terminal(folder, ["bash", "--norc", "--noprofile", "-i"], env) as found:
        found.wait_for("prompt> ")
        found.type(shlex.join([*EXEC, "cat"]) + "\n")
        found.wait_for("localqueue: http")
        found.type("one\n")
        found.wait_for("one\n", 2)  # what was typed, and what cat wrote
        found.type("\x1a")
        found.wait_for("prompt> ", 2)
        found.type("fg; echo code $?\n")
        found.wait_for("exec cat\n", 3)  # when it was started, stopped, and resumed
        found.type("two\n")
        found.wait_for("two\n", 2)
        found.type("\x04")
        found.wait_for("code 0\n")
        found.type("exit\n")
        assert found.wait_end() == 0
