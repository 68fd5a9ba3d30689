"""The system's time functions, taken before a test can replace them.

freezegun replaces `time.monotonic` and every module attribute that is this function, but not the elements of a tuple.
The pytest plugin imports this module when pytest starts.
"""

from __future__ import annotations

import time

SYSTEM = (time.time, time.monotonic, time.sleep)


def system_time() -> float:
    """Return seconds since the epoch."""
    return SYSTEM[0]()


def monotonic() -> float:
    """Return seconds of the monotonic clock."""
    return SYSTEM[1]()


def sleep(seconds: float) -> None:
    """Return after some real time."""
    SYSTEM[2](seconds)
