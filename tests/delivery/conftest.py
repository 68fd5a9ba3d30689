"""Run the delivery tests with each response parser and on each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from localqueue.delivery.h11_parser import H11Parser
from localqueue.delivery.response_parser import ResponseParser
from tests.support import run_async

try:
    from localqueue.delivery.httptools_parser import HttptoolsParser
except ImportError:
    HttptoolsParser = None

try:
    import uvloop
except ImportError:
    uvloop = None

PARSERS = [
    pytest.param(
        HttptoolsParser,
        marks=pytest.mark.skipif(HttptoolsParser is None, reason="httptools is not installed"),
        id="httptools",
    ),
    pytest.param(H11Parser, id="h11"),
]
LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(uvloop is None, reason="uvloop is not installed")),
]


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> type[ResponseParser]:
    chosen: type[ResponseParser] = request.param
    return chosen


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on one loop or the other."""
    if request.param == "asyncio":
        return run_async

    def run_uvloop(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)

    return run_uvloop
