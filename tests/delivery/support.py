"""Deliver one request to a worker that misbehaves."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import AsyncIterator

import pytest

from localqueue.core.models import Outcome, Request
from localqueue.delivery.delivery import Delivery
from localqueue.delivery.http_transport import HttpTransport
from localqueue.delivery.response_parser import ResponseParser
from tests.delivery.fault_worker import (
    Behavior,
    FaultWorker,
)

SHORT_MS = 250
IN_PHASE_MS = 5 * SHORT_MS
"""On a busy machine, too, an attempt has got as far as it gets by then."""
LONG_MS = 10_000
BODY = b'{"jobId":"1","queue":"work","attempt":1,"data":null}'
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@contextlib.asynccontextmanager
async def delivering(parser: type[ResponseParser]) -> AsyncIterator[Delivery]:
    """Give a delivery with one of the parsers, and close it."""
    delivery = Delivery(functools.partial(HttpTransport, parser))
    try:
        yield delivery
    finally:
        await delivery.aclose()


async def deliver_once(
    parser: type[ResponseParser], behavior: Behavior, timeout_ms: int = LONG_MS, body: bytes = BODY
) -> Outcome:
    """Deliver to a worker that does this to the first request, and answers 200 afterwards."""
    async with FaultWorker(behavior) as worker, delivering(parser) as delivery:
        outcome = await delivery.deliver(Request(worker.url, body, timeout_ms))
        assert len(worker.requests) <= 1, "the attempt was sent twice"
        return outcome


def code_of(outcome: Outcome) -> str | None:
    return outcome.error.code if outcome.error is not None else None


def message_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


def body_of(outcome: Outcome) -> bytes:
    assert outcome.response is not None
    return outcome.response.body


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
