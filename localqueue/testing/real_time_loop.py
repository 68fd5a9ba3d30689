"""Event loops whose timers follow real time, whatever a test has done to `time.monotonic`."""

from __future__ import annotations

import asyncio
import logging

from localqueue.core import real_time
from localqueue.server import event_loop


class RealTimeLoop(asyncio.SelectorEventLoop):
    """A loop of asyncio, with real time; it logs nothing that a test's `caplog` would record."""

    def __init__(self) -> None:
        logger = logging.getLogger("asyncio")
        was_disabled, logger.disabled = logger.disabled, True
        try:
            super().__init__()  # logs which selector it uses
        finally:
            logger.disabled = was_disabled
        self.set_debug(False)  # it would log every connection

    def time(self) -> float:
        """Return seconds of the monotonic clock."""
        return real_time.monotonic()


def fastest_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop, which has its own clock, or a RealTimeLoop if it isn't installed."""
    make = event_loop.loop_factory() or RealTimeLoop
    return make()
