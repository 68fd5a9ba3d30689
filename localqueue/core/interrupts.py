"""End at once on Ctrl-C while a command starts.

Python's handler raises KeyboardInterrupt wherever the program is. Within an import, that is sometimes printed and
forgotten, and the program runs on, or it becomes another error.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl-C, as a shell has it."""


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process during a block in which there is nothing to clean up.

    Where Ctrl-C is ignored or has a handler already, and on other threads than the first, nothing changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _end:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)
