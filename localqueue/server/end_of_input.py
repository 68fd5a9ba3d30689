"""Stop a server when its standard input ends: the process that started it is gone, in whatever way it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator

from localqueue.core.errors import StartError

STANDARD_INPUT = 0
READ_SIZE = 65_536


@contextlib.contextmanager
def calling_at_end_of_input(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` once the standard input has ended, during a block; what comes in is ignored.

    Raises StartError if the input is a file or /dev/null, whose end says nothing about another process.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            if os.read(STANDARD_INPUT, READ_SIZE):
                return
        except BlockingIOError:
            return
        except OSError:  # a connection that was reset has ended, too
            pass
        loop.remove_reader(STANDARD_INPUT)
        stop()

    try:
        loop.add_reader(STANDARD_INPUT, read)
    except OSError:
        raise StartError(
            "--stop-on-eof needs a pipe as standard input, not a file or /dev/null",
            "Start localqueue from your program with a pipe that it never closes, or leave out --stop-on-eof.",
        ) from None
    try:
        yield
    finally:
        loop.remove_reader(STANDARD_INPUT)
