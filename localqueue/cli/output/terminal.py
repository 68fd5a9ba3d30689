"""Decide on the colors and the width of output."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

_CODES = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
STATES = {"retrying": "warn", "completed": "good", "failed": "bad", "cancelled": "dim"}
"""The tone of each state that has one."""


class Painter:
    """A function that colors text, or leaves it unchanged."""

    def __init__(self, has_color: bool) -> None:
        self._has_color = has_color

    def __call__(self, tone: str, text: str) -> str:
        """Return the text in a tone: good, bad, warn, dim, bold, or none."""
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if tone and text and self._has_color else text


def painter(no_color: bool, stream: TextIO | None = None) -> Painter:
    """Return the painter for a stream; by default for standard output.

    Only terminals are colored, and only if nothing turns colors off.
    """
    wanted = not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Painter(wanted and (stream or sys.stdout).isatty())


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the width of a line in columns; None if the output isn't a terminal."""
    return max(shutil.get_terminal_size().columns, 20) if (stream or sys.stdout).isatty() else None
