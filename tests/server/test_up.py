"""`localqueue up`: where it listens, what it writes, and a handler that uses the queue while it is called."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forking import ForkedPopen
from tests.support import Server, free_port, http, localqueue, serving, until, working, write_catalog


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_it_listens_on_both_loopback_addresses(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: ::1 was not tested")
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        for host in ("127.0.0.1", "[::1]", "localhost"):
            url = f"http://{host}:{server.ready['port']}/health"
            assert http.get(url).json() == {"status": "ok"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells which sockets listen")
def test_it_listens_on_no_other_address(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path) as server:
        found = listening(server.ready["port"])
    assert "127.0.0.1" in found and found <= {"127.0.0.1", "::1"}


def listening(port: int) -> set[str]:
    """Return the addresses on which a port of this machine listens."""
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        path = Path("/proc/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state, *_ = line.split()
            digits, _, its_port = local.partition(":")
            if state == "0A" and int(its_port, 16) == port:
                words = struct.iter_unpack(">I", bytes.fromhex(digits))
                found.add(socket.inet_ntop(family, b"".join(struct.pack("=I", word) for (word,) in words)))
    return found


INTERRUPTED_START = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass  # as in a callback of the import system, which ignores every exception
sys.meta_path.insert(0, Finder())
from localqueue.cli import main
main(sys.argv[2:])
"""


@pytest.mark.parametrize("module", ["click", "localqueue.cli.commands.up", "uvloop"])
def test_ctrl_c_during_the_start_ends_it_without_a_word(tmp_path: Path, module: str) -> None:
    """Rule cli.interrupt: also where Python would ignore it."""
    write_catalog(tmp_path)
    command = [sys.executable, "-c", INTERRUPTED_START, module, "up", "--ephemeral", "--port", "0", "--stop-on-eof"]
    ended = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("words", [("up", "--ephemeral", "--port", "0"), ("jobs", "--url", "http://127.0.0.1:9")])
def test_ctrl_c_before_anything_has_started_ends_a_command_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Rule cli.interrupt."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("localqueue.server.sockets.raise_file_limit", interrupted)
    monkeypatch.setattr("localqueue.cli.options.connect", interrupted)
    monkeypatch.chdir(write_catalog(tmp_path).parent)
    ended = localqueue(*words)
    assert (ended.exit_code, ended.output) == (130, "")


LATE_SIGNALS = """
import atexit, os, signal, sys
for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    atexit.register(os.kill, os.getpid(), kind)
from localqueue.cli import main
main(sys.argv[1:])
"""


def test_a_signal_after_the_stop_changes_nothing(tmp_path: Path) -> None:
    """Rule stop.signals."""
    write_catalog(tmp_path)
    command = [sys.executable, "-c", LATE_SIGNALS, "up", "--ephemeral", "--port", "0", "--stop-on-eof", "--quiet"]
    ended = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_port_that_another_program_holds_on_the_other_family_is_refused(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: ::1 was not tested")
    write_catalog(tmp_path)
    port = str(free_port())
    with socket.create_server(("::1", int(port)), family=socket.AF_INET6):
        code, error = Server(tmp_path, "--port", port).finish()
    assert code == 1 and f"port {port} is in use on ::1" in error
    assert (
        not (tmp_path / ".localqueue" / "queue.db").exists() or not (tmp_path / ".localqueue/queue.db").stat().st_size
    )


def test_a_handler_may_enqueue_while_it_holds_the_only_slot(tmp_path: Path) -> None:
    """Rule enqueue.never-waits."""
    found: dict[str, str] = {}

    def answer(job: dict[str, Any]) -> int:
        if job["data"] == "parent":
            body = {"namespace": "shop", "queue": "work", "data": "child"}
            found["child"] = http.post(f"{found['url']}/jobs", json=body).json()["id"]
        return 200

    with working(answer) as worker:
        write_catalog(tmp_path, concurrency=1)
        with serving(tmp_path, "--target", worker.url) as server:
            found["url"] = server.url
            server.wait_state(server.enqueue("parent"), "completed")
            server.wait_state(found["child"], "completed")


def run_text(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = ["up", "--port", "0", *options]
    return ForkedPopen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError("\n".join(lines))


def test_the_banner_and_the_log_say_what_happens(tmp_path: Path) -> None:
    """Rule cli.up."""
    write_catalog(tmp_path, retries=2, delay=0)
    process = run_text(tmp_path, "--target", "http://127.0.0.1:9")
    banner = read_until(process, "other ")
    assert "    export SERVICE_NAMESPACE=shop" in banner
    url = next(line.split("=", 1)[1] for line in banner if "export IEC_QUEUE_URL=" in line)
    assert banner[0].endswith(f"on {url}")
    assert any("work" in line and re.search(r" 5 +2 +0 ms +30 s$", line) for line in banner)
    http.post(f"{url}/jobs", json={"namespace": "shop", "queue": "work"})
    lines = read_until(process, "failed: no retries left")
    assert (
        sum("note: shop/work: nothing is listening on http://127.0.0.1:9" in line for line in lines) == 1
    )  # once, not for each attempt
    assert [re.findall(r"attempt \d/\d", line) for line in lines if "attempt" in line] == [
        ["attempt 1/3"],
        ["attempt 2/3"],
        ["attempt 3/3"],
    ]
    assert all("connect_refused" in line for line in lines if "attempt" in line)
    process.send_signal(signal.SIGINT)
    assert "stopping" in read_until(process, "stopping")[-1]
    assert process.wait(30) == 0
    assert process.stdout is not None
    process.stdout.close()


def test_a_wrong_catalog_stops_the_start_with_every_problem_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "catalog-info.yaml").write_text("kind: Component\nspec: {queues: [{name: 5}, {endpoint: x}]}\n")
    code, error = Server(tmp_path, "--port", "0").finish()
    assert code == 1 and error.count("catalog-info.yaml:2:") >= 3 and "Traceback" not in error
    assert os.listdir(tmp_path) == ["catalog-info.yaml"]


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    """Rule cli.exit-codes."""
    write_catalog(tmp_path)
    for options in (["--port", "70000"], ["--nothing"], ["--target", "http://a", "--target", "http://b"]):
        code, error = Server(tmp_path, *options).finish()
        assert code == 2 and "Traceback" not in error


def test_options_come_from_the_environment_too(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    with serving(tmp_path, env={"LOCALQUEUE_EPHEMERAL": "1"}) as server:
        assert not (tmp_path / ".localqueue" / "queue.db").exists()
        folder = Path(server.ready["db"]).parent
        assert folder.exists()
    until(lambda: not folder.exists(), "the temporary folder is gone")


def test_it_stops_when_the_program_that_started_it_is_gone(tmp_path: Path) -> None:
    """Rule cli.stop-on-eof."""
    write_catalog(tmp_path)
    words = ["up", "--stop-on-eof", "--port", "0", "--ephemeral", "--log", "json"]
    pipe = subprocess.PIPE
    with ForkedPopen(words, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        process.stdin.write("what comes in is ignored\n")
        process.stdin.flush()
        assert http.get(f"{url}/health").json() == {"status": "ok"}
        assert process.poll() is None
        output, errors = process.communicate()  # closes its input
    assert process.returncode == 0 and errors == ""
    assert json.loads(output.splitlines()[-1])["event"] == "stopping"


def test_an_input_whose_end_says_nothing_about_a_program_is_refused(tmp_path: Path) -> None:
    """Rule cli.stop-on-eof."""
    write_catalog(tmp_path)
    words = ["up", "--stop-on-eof", "--port", "0"]
    nothing = subprocess.DEVNULL
    with ForkedPopen(words, cwd=tmp_path, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE, text=True) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith("Error: --stop-on-eof needs a pipe as standard input, not a file or /dev/null\n")
    assert not (tmp_path / ".localqueue").exists()
