"""The event loop of load generator, worker and limits: the fastest one available."""

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
    """End the process at the first error in a callback, because its figures would be meaningless."""
    loop.default_exception_handler(context)
    os._exit(1)


def told() -> dict[str, Any]:
    """Return the options on the command line of the process."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def say(**found: Any) -> None:
    """Print one line for the benchmark."""
    print(json.dumps(found), flush=True)
