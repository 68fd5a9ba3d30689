"""Run a command on a real terminal (a pty): type, and read what is on the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.forking import COMMAND
from tests.support import WAIT_S, until


class Terminal:
    """Hold the terminal; `screen` is everything that was written on it."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self._process = process
        self._end = end
        self.encoding = "utf-8"
        self._bytes = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nobody has the other end open any more
            while chunk := os.read(self._end, 65536):
                self._bytes += chunk

    @property
    def screen(self) -> str:
        return self._bytes.decode(self.encoding).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """Return what was written, without colors."""
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.screen).splitlines()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text was written so many times."""
        try:
            until(lambda: self.screen.count(text) >= times, f"{text!r} is there {times} times")
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n{self.screen}") from None

    def type(self, keys: str) -> None:
        """Type; `\\x03` is ^C, `\\x1a` is ^Z."""
        os.write(self._end, keys.encode())

    def wait_end(self) -> int:
        """Return the exit code once the command has ended."""
        code = self._process.wait(WAIT_S)
        self._reader.join()
        return code


@contextlib.contextmanager
def terminal(folder: Path, command: Sequence[str], env: dict[str, str], columns: int = 80) -> Iterator[Terminal]:
    """Run a command on a terminal of its own, as the leader of a session."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(theirs)
        found = Terminal(process, ours)
        try:
            yield found
        finally:
            process.kill()  # the terminal is hung up; what runs on it gets SIGHUP
            found.wait_end()
            os.close(ours)


@contextlib.contextmanager
def localqueue_on_terminal(*words: str, columns: int = 80, **env: str) -> Iterator[Terminal]:
    """Run `localqueue` on a terminal."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "LINES")}
    with terminal(Path.cwd(), [*COMMAND, *words], {**inherited, "TERM": "xterm", **env}, columns) as found:
        yield found


def seen(*words: str, columns: int = 80, encoding: str = "utf-8", **env: str) -> Terminal:
    """Return what `localqueue` wrote on a terminal once it has ended well."""
    with localqueue_on_terminal(*words, columns=columns, **env) as found:
        found.encoding = encoding
        assert found.wait_end() == 0, found.screen
    return found
