"""Interrupt the threads of handlers that are still running when their test is over."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterable

GRACE_S = 0.5
"""How long handlers may take to end by themselves, in seconds."""

_POOLS = ("/threading.py", "/queue.py", "/concurrent/futures/thread.py", "/anyio/_backends/_asyncio.py")


class LateHandlerWarning(UserWarning):
    """A handler was still running when its test was over, and was cut off."""


def is_busy(thread: threading.Thread) -> bool:
    """Return whether a thread of a pool runs a function: an idle one waits in the code of the pool."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if not frame.f_code.co_filename.endswith(_POOLS):
            return True
        frame = frame.f_back
    return False


def interrupt(idents: Iterable[int | None]) -> None:
    """Raise SystemExit in threads.

    A thread that is blocked in C, such as in a sleep, ends when it returns from there: too early to enqueue a job
    into the next test.
    """
    for ident in idents:
        if ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
