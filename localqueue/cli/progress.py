"""Write lines to standard error, and on a terminal one more below them that is rewritten."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from localqueue.text import safe

_CLEAR = "\r\x1b[K"


class Progress:
    """Write to a stream; a closed one stops nothing."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self._shown = ""

    def line(self, text: str) -> None:
        """Write a line, above the one that is rewritten."""
        self._write(f"{self._clearing()}{text}\n{self._shown}")

    def show(self, text: str) -> None:
        """Rewrite the last line; nothing is written where there is no terminal."""
        if self.is_terminal:
            clearing = self._clearing()
            self._shown = safe(text, (os.get_terminal_size(self._stream.fileno()).columns or 80) - 1)
            self._write(clearing + self._shown)

    def hide(self) -> None:
        """Take the last line away."""
        clearing, self._shown = self._clearing(), ""
        self._write(clearing)

    def _clearing(self) -> str:
        return _CLEAR if self._shown else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = open(os.devnull, "w")  # noqa: SIM115
