"""Format an exception of a handler without the frames of frameworks."""

from __future__ import annotations

import traceback
from pathlib import Path

_LIBRARIES = ("site-packages", "dist-packages", "concurrent/futures", str(Path(__file__).parents[1]))


def format_exception(error: BaseException) -> str:
    """Return the traceback without the frames of libraries, unless it has no others."""
    formatted = traceback.TracebackException.from_exception(error)
    own = [frame for frame in formatted.stack if not any(part in frame.filename for part in _LIBRARIES)]
    if own:
        formatted.stack = traceback.StackSummary.from_list(own)
    return "".join(formatted.format()).rstrip()
