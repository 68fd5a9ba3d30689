"""Handle the signals that ask a server to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """The first signal asks for a stop with a grace period, the second one for a stop at once."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def add(self) -> None:
        """Count one more signal."""
        (self.second if self.first.is_set() else self.first).set()


@contextlib.contextmanager
def handling_stop_signals() -> Iterator[StopRequests]:
    """Handle the stop signals during a block; a hangup that `nohup` lets ignore stays ignored.

    SIGINT doesn't: a shell lets every background command of a script ignore it, and it must still stop a server.
    After a stop that was asked for, the signals are ignored, because the process is about to end with 0.
    """
    loop, requests = asyncio.get_running_loop(), StopRequests()
    has_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    kinds = [kind for kind in STOP_SIGNALS if not (has_nohup and kind is signal.SIGHUP)]
    for kind in kinds:
        loop.add_signal_handler(kind, requests.add)
    try:
        yield requests
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)
            if requests.first.is_set():
                signal.signal(kind, signal.SIG_IGN)
