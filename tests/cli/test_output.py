"""Standard streams that nobody reads, that are closed, or that can't be written."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from localqueue.cli.commands.up import log_output
from localqueue.cli.output import line_output
from localqueue.cli.output.event_log import json_line
from localqueue.cli.output.line_output import LineOutput
from localqueue.core.settings import Settings
from tests.forking import COMMAND, ForkedPopen
from tests.support import JSON, http, until, working, write_catalog


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def read_all(descriptor: int) -> str:
    parts = []
    while part := os.read(descriptor, 65_536):
        parts.append(part)
    return b"".join(parts).decode()


def available(descriptor: int) -> bytes:
    """Return what can be read now."""
    return os.read(descriptor, 65_536) if select.select([descriptor], [], [], 0)[0] else b""


def server_url(folder: Path) -> str:

    return str(json.loads((folder / ".localqueue" / "server.json").read_text())["url"])


@contextlib.contextmanager
def unread(folder: Path, output: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up` with an output that nobody reads."""
    process = ForkedPopen(["up", "--port=0", *options], cwd=folder, stdout=output, stderr=subprocess.PIPE)
    os.close(output)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_log_that_nobody_reads_stops_neither_the_queue_nor_its_stop(tmp_path: Path) -> None:
    """Rule cli.output: in each format; both stop at once, because each waits five seconds for a reader."""
    with contextlib.ExitStack() as stack:
        stopping = [stack.enter_context(stopping_unread(tmp_path / log, f"--log={log}")) for log in ("text", "json")]
        for process in stopping:
            assert process.wait(30) == 0
            assert process.stderr is not None and process.stderr.read() == b""


@contextlib.contextmanager
def stopping_unread(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up` with an output that nobody reads, deliver more jobs than a pipe holds lines, and send the signal."""
    folder.mkdir()
    write_catalog(folder)
    reader, writer = small_pipe()
    with working() as worker, unread(folder, writer, "--target", worker.url, *options) as process:
        until((folder / ".localqueue" / "server.json").exists, "the server is up")
        url = server_url(folder)
        for number in range(200):
            body = f'{{"namespace":"shop","queue":"work","data":{number}}}'
            http.post(f"{url}/jobs", content=body, headers=JSON).raise_for_status()
        until(lambda: len(worker.bodies) == 200, "every job is delivered")
        assert http.get(f"{url}/_localqueue/status").status_code == 200
        process.send_signal(signal.SIGTERM)
        yield process
    assert read_all(reader)  # what the pipe held
    os.close(reader)


def test_lines_wait_for_a_slow_reader_in_order(tmp_path: Path) -> None:
    """Rule cli.output."""
    reader, writer = small_pipe()
    with open(writer, "w", closefd=True) as stream:
        output = LineOutput(stream)
        lines = [f"{number} " + "é" * 50 + "\n" for number in range(500)]
        for line in lines:
            output.write(line)
        got = bytearray()

        def is_all_read() -> bool:
            got.extend(available(reader))
            output.flush(0.002)
            return len(got) >= len("".join(lines).encode())

        until(is_all_read, "every line has come")
    assert got.decode() == "".join(lines)
    os.close(reader)


def test_dropped_lines_are_counted_once_somebody_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.output."""
    monkeypatch.setattr(line_output, "LIMIT", 64 * 1024)
    reader, writer = small_pipe()
    with open(writer, "w") as stream:
        output = LineOutput(stream)
        for _ in range(30):
            output.write("x" * 5_999 + "\n")
        got = b""
        for _ in range(200):  # bounded: a note that never comes must not hang the suite
            output.flush(0.002)
            got += available(reader)
        output.write("the end\n")
    got += read_all(reader).encode()
    kept = got.count(b"x" * 5_999 + b"\n")
    assert got.endswith(f"({30 - kept} lines dropped, because nothing read this output)\nthe end\n".encode())
    os.close(reader)


def test_the_note_of_dropped_lines_is_an_event_in_the_log_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.output."""
    monkeypatch.setattr(line_output, "LIMIT", 8192)
    reader, writer = small_pipe()
    with open(writer, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        output = log_output(Settings(log="json"))
        for _ in range(30):
            output.write(json_line("warning", message="x" * 1000) + "\n")
        got = b""
        for _ in range(20):
            got += available(reader)
            output.flush(0.002)
    found = [json.loads(line) for line in (got + read_all(reader).encode()).splitlines()]
    assert "lines dropped" in found[-1]["message"] and found[-1]["event"] == "warning"
    os.close(reader)


def test_the_note_of_dropped_lines_stands_where_they_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.output."""
    monkeypatch.setattr(line_output, "LIMIT", 64 * 1024)
    reader, writer = small_pipe()
    with open(writer, "w") as stream:
        output = LineOutput(stream)
        lines = [f"{number:02} " + "x" * 5_996 + "\n" for number in range(20)]
        got = b""
        for number, line in enumerate(lines):
            output.write(line)
            for _ in range(4 if number > 12 else 0):  # somebody reads a little
                got += available(reader)
                output.flush(0.002)
        for _ in range(200):
            output.flush(0.002)
            got += available(reader)
        assert b"dropped" in got
    before = got.partition(b"(")[0].decode().splitlines()
    assert [int(line[:2]) for line in before] == list(range(len(before)))  # no line after the gap comes before the note
    os.close(reader)


def test_a_terminal_gets_its_lines() -> None:
    leader, follower = pty.openpty()
    with open(follower, "w") as stream:
        LineOutput(stream).write("hello\n")
        assert os.read(leader, 100) == b"hello\r\n"
    os.close(leader)


@pytest.mark.parametrize("target", ["/dev/full", "closed reader"])
def test_an_output_that_breaks_is_ignored(target: str) -> None:
    """Rule cli.output."""
    reader, writer = os.pipe()
    os.close(reader)
    descriptor = os.open(target, os.O_WRONLY) if target.startswith("/") else os.dup(writer)
    os.close(writer)
    stream = os.fdopen(descriptor, "w")
    output = LineOutput(stream)
    for _ in range(3):
        output.write("line\n")
    output.flush()
    stream.close()


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("words", [("status",), ("--version",), ("check",), ("exec", "--", "true")], ids=" ".join)
def test_a_closed_standard_stream_is_no_error(tmp_path: Path, closed: tuple[int, ...], words: tuple[str, ...]) -> None:
    """Rule cli.output."""
    write_catalog(tmp_path)
    redirections = " ".join(f"{number}>&-" if number else "0<&-" for number in closed)
    script = f'"$@" {redirections}'
    found = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert found.returncode in (0, 1), found
    assert "Traceback" not in found.stderr and "Fatal" not in found.stderr
