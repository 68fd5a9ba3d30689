"""Run a command on a real terminal (a pty): type, and read what is on the screen."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import WAIT_S, until

_ON_A_PTY = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


class Terminal:
    """Hold the terminal; `screen` is everything that was written on it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._bytes = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 65536):
            self._bytes += chunk

    @property
    def screen(self) -> str:
        return self._bytes.decode().replace("\r\n", "\n")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text was written so many times."""
        try:
            until(lambda: self.screen.count(text) >= times, f"{text!r} is there {times} times")
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n{self.screen}") from None

    def type(self, keys: str) -> None:
        """Type; `\\x03` is ^C, `\\x1a` is ^Z."""
        assert self._process.stdin is not None
        self._process.stdin.write(keys.encode())
        self._process.stdin.flush()

    def wait_end(self) -> int:
        """Return the exit code once the command has ended."""
        code = self._process.wait(WAIT_S)
        self._reader.join()
        return code


@contextlib.contextmanager
def terminal(folder: Path, command: Sequence[str], env: dict[str, str]) -> Iterator[Terminal]:
    """Run a command on a terminal of its own, as the leader of a session."""
    with subprocess.Popen(
        [sys.executable, "-c", _ON_A_PTY, *command],
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        found = Terminal(process)
        try:
            yield found
        finally:
            process.kill()  # the terminal is hung up; what runs on it gets SIGHUP
            found.wait_end()
