"""Run a coroutine on the fastest event loop that is installed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from localqueue.core.interrupts import ending_at_once


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a server's coroutine; Ctrl-C ends the process until the coroutine handles signals."""
    with ending_at_once(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what creates uvloop's loop, or None if it isn't installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def relax_garbage_collection() -> None:
    """Exclude everything that exists now from garbage collections, and make them rarer: jobs leave no cycles.

    Only for a process of our own; in a test process the collector belongs to the tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
