"""The page docs/tutorial.md: its files, commands and outputs, in order, in one folder."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ENV, ROOT, run
from tests.forking import ForkedPopen
from tests.support import free_port, localqueue, until

PAGE = ROOT / "docs/tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INSTALLATION = "python3 -m venv .venv\n. .venv/bin/activate\npython -m pip install CLONE pytest\n"
"""The README's test installs the wheel; here everything is installed already."""
VARIABLE = {
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{8}\b": "ID",
    r"(\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d\.\d{3}Z?|\+\d+\.\d{3}s": "TIME",
    r"\b\d+(\.\d+)? ?(ms|s|min)\b": "DURATION",
    r"started (on time|DURATION later)": "started DURATION later",
    r" +": " ",
}
"""What differs from run to run, in the order in which it is replaced."""


def plain(text: str) -> str:
    for pattern, word in VARIABLE.items():
        text = re.sub(pattern, word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


class Terminals:
    """Three terminals in one folder: the queue, the service, and one for commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.service_port = folder, str(free_port()), str(free_port())
        self.queue: subprocess.Popen[str] | None = None
        self.service: subprocess.Popen[str] | None = None
        self.output = self.id = ""

    def text(self) -> str:
        text = PAGE.read_text().replace("4327", self.port)
        return re.sub(r"\b3000\b", self.service_port, text)

    def type(self, line: str) -> None:
        words = shlex.split(line.replace("job ID", f"job {self.id}"))
        if words == ["localqueue", "up"]:
            self._start_queue()
        elif words[:3] == ["python", "-m", "uvicorn"]:
            self._start_service(words)
        elif words[0] == "localqueue":
            found = localqueue(*words[1:])
            assert found.exit_code == 0, found.output
            self.output = found.output
            if words[1] == "retry":
                until(lambda: self.log().count("completed") == 2, "the retried job is completed")
        else:
            self.output = run(self.folder, *words, *(["--noproxy", "*"] if words[0] == "curl" else [])).stdout
        self.id = next(iter(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", self.output)), self.id)

    def _start_queue(self) -> None:
        with (self.folder / "queue.log").open("w") as log:
            self.queue = ForkedPopen(["up", "--port", self.port], cwd=self.folder, stdout=log, env=ENV)
        until(lambda: "process-claim" in self.log(), "the queue is ready")

    def _start_service(self, words: list[str]) -> None:
        self._stop(self.service)
        with (self.folder / "service.log").open("w") as log:
            self.service = subprocess.Popen(
                [sys.executable, *words[1:]], cwd=self.folder, stderr=log, stdout=log, env=ENV
            )
        until(lambda: "running on" in (self.folder / "service.log").read_text(), "the service is ready")

    def log(self) -> str:
        return (self.folder / "queue.log").read_text()

    def expect(self, wanted: str) -> None:
        """Check that the latest command, or the queue, has printed this."""
        if wanted not in plain(self.output):
            with contextlib.suppress(AssertionError):
                until(lambda: wanted in plain(self.log()), "the delivery is in the log")
            assert wanted in plain(self.log()), f"{plain(self.output)}\n\nin the page:\n{wanted}"

    def close(self) -> None:
        self._stop(self.queue)
        self._stop(self.service)

    def _stop(self, process: subprocess.Popen[str] | None) -> None:
        if process is not None:
            process.terminate()
            process.wait(30)


@pytest.fixture
def terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminals]:
    monkeypatch.chdir(tmp_path)
    found = Terminals(tmp_path)
    yield found
    found.close()


def test_every_step_of_the_tutorial_works_and_prints_what_the_page_shows(terminals: Terminals) -> None:
    outputs = 0
    for language, text in BLOCK.findall(terminals.text()):
        if language in ("python", "yaml"):
            name = text.partition("\n")[0].removeprefix("# ")
            (terminals.folder / name).write_text(text)
        elif language == "text":
            outputs += 1
            terminals.expect(plain(text))
        elif text != INSTALLATION:
            for line in text.splitlines():
                terminals.type(line)
    assert outputs == 9
    assert "2 passed" in terminals.output
