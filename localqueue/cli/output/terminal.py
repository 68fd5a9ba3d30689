"""Decide what a terminal shows: colour, and how much room a line has."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

_CODES = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
STATES = {"retrying": "warn", "completed": "good", "failed": "bad", "cancelled": "dim"}
"""The tone of each state that has one."""


class Painter:
    """Colour text, or leave it as it is."""

    def __init__(self, has_colour: bool) -> None:
        self._has_colour = has_colour

    def __call__(self, tone: str, text: str) -> str:
        """Return the text in a tone: good, bad, warn, dim, bold, or none."""
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if tone and text and self._has_colour else text


def painter(no_color: bool, stream: TextIO | None = None) -> Painter:
    """Return what colours a stream, standard output where none is given.

    Only a terminal is coloured, and only where nobody asked for none.
    """
    wanted = not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Painter(wanted and (stream or sys.stdout).isatty())


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return how many columns a line may have; None where it goes to no terminal and may be of any width."""
    return max(shutil.get_terminal_size().columns, 20) if (stream or sys.stdout).isatty() else None
