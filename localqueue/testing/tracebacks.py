"""Show an exception of a handler: its own frames, not those of frameworks around it."""

from __future__ import annotations

import traceback
from pathlib import Path

_LIBRARIES = ("site-packages", "dist-packages", "concurrent/futures", str(Path(__file__).parents[1]))


def format_exception(error: BaseException) -> str:
    """Return the traceback with the frames of libraries left out, unless there is nothing else."""
    found = traceback.TracebackException.from_exception(error)
    own = [frame for frame in found.stack if not any(part in frame.filename for part in _LIBRARIES)]
    if own:
        found.stack = traceback.StackSummary.from_list(own)
    return "".join(found.format()).rstrip()
