"""Run the event loops of loader, worker and limits on the fastest loop there is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from typing import Any


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end."""
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(_end)
        runner.run(work)


def _end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End the process at the first error in a callback: what it measures would mean nothing."""
    loop.default_exception_handler(context)
    os._exit(1)


def told() -> dict[str, Any]:
    """Return what the process was told on its command line."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def say(**found: Any) -> None:
    """Tell the benchmark one line."""
    print(json.dumps(found), flush=True)
