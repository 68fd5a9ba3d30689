"""Write to a stream that nobody may be reading, without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable
from typing import TextIO

from localqueue.core.real_time import monotonic
from localqueue.core.text import counted

LIMIT = 1024 * 1024
"""How many bytes may wait for a reader; further lines are dropped and counted."""
FLUSH_S = 5.0
"""How long the end of a command waits for a reader, in seconds."""
_ATOMIC = 4096
"""How many bytes a pipe that is ready takes without blocking (PIPE_BUF)."""


class LineOutput:
    """An output for whole lines that holds them while nobody reads, and continues when somebody does.

    `note` makes the line that says how many were dropped.
    """

    def __init__(self, stream: TextIO, note: Callable[[str], str] = "({})".format) -> None:
        self._stream = stream
        self._note = note
        self._waiting = bytearray()
        self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_broken = False
        try:
            self._descriptor = stream.fileno()
        except (OSError, ValueError):  # closed, or no file
            self._descriptor = -1

    def write(self, text: str) -> None:
        """Write a text, or hold it until it can be written. A broken output is ignored."""
        if self._is_broken:
            return
        if self._descriptor < 0:
            self._write_plainly(text)
            return
        self._send()  # make room
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        if self._dropped or len(self._waiting) + len(data) > LIMIT:
            self._dropped += 1  # so does every further line, until what waits is written: the note stands at the gap
        else:
            self._waiting += data
        if self._dropped and not self._waiting:
            self._note_dropped()
        self._send()

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Write what waits, for at most `timeout_s`: the reader may never come back."""
        end = monotonic() + timeout_s
        while self._waiting and not self._is_broken and (left := end - monotonic()) > 0:
            self._send(left)

    def _write_plainly(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._is_broken = True

    def _send(self, wait_s: float = 0.0) -> None:
        """Write what can be written now; watch for the rest."""
        try:
            while self._waiting and select.select([], [self._descriptor], [], wait_s)[1]:
                sent = os.write(self._descriptor, self._waiting[:_ATOMIC])
                del self._waiting[:sent]
                if self._dropped and not self._waiting:
                    self._note_dropped()
        except (OSError, ValueError):
            self._is_broken = True
            self._waiting.clear()
        self._watch(bool(self._waiting))

    def _note_dropped(self) -> None:
        text = f"{counted(self._dropped, 'line')} dropped, because nothing read this output"
        self._waiting += f"{self._note(text)}\n".encode()
        self._dropped = 0

    def _watch(self, is_wanted: bool) -> None:
        """Continue as soon as somebody reads, if a loop runs."""
        if is_wanted and self._loop is None:
            with contextlib.suppress(RuntimeError, OSError):
                loop = asyncio.get_running_loop()
                loop.add_writer(self._descriptor, self._send)
                self._loop = loop
        elif not is_wanted and self._loop is not None:
            loop, self._loop = self._loop, None
            if not loop.is_closed():
                loop.remove_writer(self._descriptor)
