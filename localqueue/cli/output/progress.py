"""Write lines to standard error, with a progress line below them on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from localqueue.cli.output.line_output import LineOutput
from localqueue.client.client import Client
from localqueue.client.connect import connect
from localqueue.core.errors import LocalqueueError
from localqueue.core.text import fit, safe

PERIOD_S = 0.2
_UNFINISHED = ("queued", "running", "retrying")
_CLEAR = "\r\x1b[K"


class Progress:
    """The lines and a progress line on a stream, by default standard error; a closed stream is ignored."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._output = LineOutput(self._stream)
        self.is_terminal = self._stream.isatty()
        self._shown = ""

    def line(self, text: str) -> None:
        """Write a line above the progress line."""
        self._write(f"{self._clearing()}{text}\n{self._shown}")

    def show(self, text: str) -> None:
        """Rewrite the progress line; writes nothing if there is no terminal."""
        if self.is_terminal:
            clearing = self._clearing()
            self._shown = fit(safe(text), self._columns() - 1)
            self._write(clearing + self._shown)

    def hide(self) -> None:
        """Remove the progress line."""
        clearing, self._shown = self._clearing(), ""
        self._write(clearing)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):  # the terminal was closed
            return 80

    def _clearing(self) -> str:
        return _CLEAR if self._shown else ""

    def finish(self) -> None:
        """Write what waits for a reader."""
        self._output.flush()

    def _write(self, text: str) -> None:
        self._output.write(text)


@contextlib.contextmanager
def showing(describe: Callable[[], str]) -> Iterator[None]:
    """Show progress during a block; `describe` is called on a separate thread, several times a second."""
    progress, done = Progress(), threading.Event()

    def run() -> None:
        while not done.wait(PERIOD_S):
            progress.show(describe())

    if not progress.is_terminal:
        yield
        return
    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        progress.hide()


@contextlib.contextmanager
def showing_jobs(url: str) -> Iterator[None]:
    """Show the number of unfinished jobs of a server during a block."""
    with connect(url) as client, showing(lambda: _unfinished(client)):
        yield


def _unfinished(client: Client) -> str:
    try:
        queues = client.queues()
        totals = {state: sum(int(queue["counts"][state]) for queue in queues) for state in _UNFINISHED}
    except (LocalqueueError, LookupError, TypeError, ValueError):
        return ""
    return ", ".join(f"{count} {state}" for state, count in totals.items())
