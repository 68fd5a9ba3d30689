"""Connections over http: reuse, bounds, and the transport's own contract."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from localqueue.core.models import Outcome, OutcomeKind, Request
from localqueue.delivery import errors, http_transport, url
from localqueue.delivery.delivery import Delivery
from localqueue.delivery.http_transport import HttpTransport
from localqueue.delivery.response_parser import ResponseParser
from localqueue.delivery.transport import Headers
from localqueue.delivery.url import Url
from tests.delivery.behaviors import NOT_AGAIN, UNTIL_EOF
from tests.delivery.fault_worker import (
    OK,
    Behavior,
    Exchange,
    FaultWorker,
    answer,
    close,
    hang,
    reset,
    response,
    status,
)
from tests.delivery.support import (
    BODY,
    LONG_MS,
    SHORT_MS,
    body_of,
    code_of,
    delivering,
)
from tests.support import WAIT_S, run_async


async def deliver_twice(parser: type[ResponseParser], *script: Behavior) -> tuple[list[Outcome], Any]:
    async with FaultWorker(*script) as worker, delivering(parser) as delivery:
        return [await delivery.deliver(Request(worker.url, BODY, LONG_MS)) for _ in range(2)], worker


def test_a_connection_is_used_again(parser, run) -> None:
    """Rule deliver.keep-alive."""

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            for _ in range(20):
                assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert (len(worker.requests), worker.connections) == (20, 1)

    run(main())


def test_running_deliveries_never_share_a_connection(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            for _ in range(3):
                work = [delivery.deliver(Request(worker.url, BODY, LONG_MS)) for _ in range(10)]
                assert {outcome.status for outcome in await asyncio.gather(*work)} == {200}
            assert worker.connections == 10

    run(main())


@pytest.mark.parametrize("code", [200, 204, 304, 404, 500])
def test_a_connection_is_used_again_after_a_2xx_alone(parser, code) -> None:
    """Rule deliver.keep-alive: uvicorn closes right behind the 500 for a handler that raised, and announces nothing."""
    again = answer(
        f"HTTP/1.1 {code} X\r\n".encode() + (b"\r\n" if code in (204, 304) else b"Content-Length: 0\r\n\r\n")
    )
    outcomes, worker = run_async(deliver_twice(parser, again))
    assert [outcome.status for outcome in outcomes] == [code, 200]
    assert worker.connections == (1 if code < 300 else 2)


@pytest.mark.parametrize("behavior", NOT_AGAIN.values(), ids=NOT_AGAIN)
def test_a_connection_that_may_not_be_used_again_is_not(parser, run, behavior) -> None:
    outcomes, worker = run(deliver_twice(parser, behavior))
    assert worker.connections == 2
    assert (outcomes[1].kind, body_of(outcomes[1])) == (OutcomeKind.COMPLETED, b"ok")


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_connection_that_the_service_closed_while_idle_costs_no_attempt(parser, run, then, is_seen) -> None:
    """Rule deliver.keep-alive: nor is anything delivered twice."""

    async def main() -> None:
        async with FaultWorker(then=answer(OK, then=then)) as worker, delivering(parser) as delivery:
            for number in range(1, 21):
                outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
                assert outcome.kind is OutcomeKind.COMPLETED, outcome
                if is_seen:
                    await worker.wait_closed(number)
            assert len(worker.requests) == 20

    run(main())


def close_after_a_while() -> Behavior:
    """Answer, and close once `release` is set."""

    async def behave(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(OK)
        await exchange.hold()
        exchange.close()

    return behave


def test_an_end_that_only_the_kernel_knows_of_is_seen_before_reuse(parser) -> None:
    """Rule deliver.keep-alive: the loop had no chance to see it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def main() -> Outcome:
            async with delivering(parser) as delivery:
                request = Request(f"http://127.0.0.1:{listener.getsockname()[1]}/", BODY, LONG_MS)
                first = asyncio.create_task(delivery.deliver(request))
                loop = asyncio.get_running_loop()
                peer = await loop.run_in_executor(None, lambda: listener.accept()[0])
                await loop.run_in_executor(None, peer.recv, 65_536)
                peer.sendall(OK)
                assert (await first).status == 200
                peer.close()  # no await between this and the next delivery's look at the connection
                second = asyncio.create_task(delivery.deliver(request))
                peer = await loop.run_in_executor(None, lambda: listener.accept()[0])
                await loop.run_in_executor(None, peer.recv, 65_536)
                peer.sendall(OK)
                outcome = await second
                peer.close()
                return outcome

        listener.settimeout(WAIT_S)
        assert run_async(main()).kind is OutcomeKind.COMPLETED


def test_bytes_received_while_idle_are_never_part_of_a_response(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive: some servers say 408 before they close."""

    async def late(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(OK)
        await exchange.hold()
        await exchange.send(response(408))

    monkeypatch.setattr(http_transport, "IDLE_S", 60.0)

    async def main() -> None:
        async with FaultWorker(late) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            worker.release.set()
            await asyncio.wait_for(worker.wait_closed(1), WAIT_S)
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.connections == 2

    run(main())


def test_a_request_is_sent_again_if_none_of_it_could_be_written(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive."""

    async def main() -> None:
        async with FaultWorker(close_after_a_while()) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            monkeypatch.setattr(http_transport.Connection, "is_quiet", True)  # the look ahead missed it
            [transport] = next(iter(delivery._idle.values()))
            transport._connection._socket.shutdown(socket.SHUT_WR)  # from now on, writing fails
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert (len(worker.requests), worker.connections) == (2, 2)

    run(main())


def test_a_request_that_was_written_is_never_sent_again(parser, run, monkeypatch) -> None:
    """Rule deliver.keep-alive: at most once per attempt, even on a connection that broke."""

    async def main() -> None:
        async with FaultWorker(answer(OK), close()) as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            assert code_of(outcome) == "closed_no_response"
            assert (len(worker.requests), worker.connections) == (2, 1)

    run(main())


@pytest.mark.parametrize("header", [None, "Keep-Alive: timeout=1", "Keep-Alive: max=5, timeout=5"])
def test_an_idle_connection_is_dropped_after_a_moment(parser, run, monkeypatch, header) -> None:
    monkeypatch.setattr(http_transport, "IDLE_S", 0.05)
    monkeypatch.setattr(http_transport, "MARGIN_S", 0.96)

    async def main() -> None:
        then = status(200, *([header] if header else []))
        async with FaultWorker(then=then) as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            while len(worker.requests) == worker.connections:  # on a stalled machine, the moment is over before this
                assert worker.connections < 20, "no connection was used again"
                await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await asyncio.wait_for(worker.wait_closed(worker.connections), WAIT_S)

    run(main())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 1.0),
        (b"timeout=5", 1.0),
        (b"timeout=1", 0.5),
        (b"max=9, TIMEOUT = 1", 0.5),
        (b"timeout=0", -0.5),
    ],
)
def test_idle_time_is_short_and_shorter_than_the_server_announces(value, expected) -> None:
    assert http_transport._idle_time([] if value is None else [(b"Keep-Alive", value)]) == expected


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[http_transport.Connection, socket.socket, socket.socket]]:
    """Give a connection, its socket and the other end."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: http_transport.Connection(ours), sock=ours)
    with peer, contextlib.closing(connection):
        yield connection, ours, peer


def test_a_response_received_before_a_failed_write_is_still_read(parser) -> None:
    """Rule deliver.early-answer: the loop closes the connection without having looked."""

    async def main() -> None:
        async with connected() as (connection, _, peer):
            response_parser = parser()
            assert connection.start(response_parser, b"request")
            peer.sendall(OK)
            connection.connection_lost(BrokenPipeError())  # before the loop reads
            await connection.head()
            assert (await connection.read(), response_parser.is_complete) == (b"ok", True)
            assert not connection.finish()
            connection.is_lost = False  # so that it is closed

    run_async(main())


def test_a_response_to_a_partly_sent_request_closes_the_connection(parser) -> None:
    async def main() -> None:
        async with connected() as (connection, ours, peer):
            ours.shutdown(socket.SHUT_WR)
            assert not connection.start(parser(), b"request")
            peer.sendall(OK)
            await connection.head()
            assert await connection.read() == b"ok"
            assert not connection.finish()

    run_async(main())


def test_a_body_that_nobody_takes_is_not_read_on(parser) -> None:
    """Rule deliver.response-limit."""

    async def main() -> None:
        async with connected() as (connection, _, peer):
            response_parser = parser()
            connection.start(response_parser, b"request")
            peer.setblocking(False)
            peer.send(UNTIL_EOF)
            await connection.head()
            connection.data_received(b"x" * http_transport.READ_LIMIT)
            assert not connection._open_transport.is_reading()
            assert await connection.read() == b"x" * http_transport.READ_LIMIT
            assert connection._open_transport.is_reading()

    run_async(main())


def test_a_head_is_bounded_even_if_it_comes_at_once(parser) -> None:
    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(errors.ExchangeError, match="larger than 64 KiB"):
        parser().feed(head)


def test_a_transport_closes_its_connection_when_an_exchange_fails(parser, run) -> None:
    async def main() -> None:
        async with FaultWorker(hang()) as worker:
            transport = HttpTransport(parser)
            sending = asyncio.create_task(transport.send(url.parse(worker.url), [], BODY))
            await worker.wait_requests(1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert transport.phase == "wait"
            worker.release.set()
            await asyncio.wait_for(worker.wait_closed(1), WAIT_S)

    run(main())


class Scripted:
    """Stand in for the network, as simulations do."""

    phase = "wait"
    status = 200
    headers: ClassVar[Headers] = []
    is_at_end = True

    def __init__(self, *reads: bytes | Exception) -> None:
        self.reads = list(reads)
        self.closed = 0

    async def send(self, url: Url, headers: Headers, body: bytes) -> Scripted:
        if isinstance(self.reads[0], Exception):
            raise self.reads[0]
        self.phase = "read"
        return self

    async def read(self) -> bytes:
        if isinstance(result := self.reads.pop(0), Exception):
            raise result
        return result

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("reads", "kind", "code"),
    [
        ([errors.ExchangeError("connect_failed", "no")], "connection_error", "connect_failed"),
        ([TimeoutError("slow")], "timeout", "timeout"),
        ([ConnectionResetError("gone")], "connection_error", "connection_reset"),
        ([b"a", ConnectionResetError("gone")], "connection_error", "broken_response"),
        ([RuntimeError("surprise")], "connection_error", "protocol"),
    ],
)
def test_whatever_a_transport_raises_becomes_an_outcome(reads, kind, code) -> None:
    transport = Scripted(*reads)
    delivery = Delivery(lambda: transport)
    outcome = run_async(delivery.deliver(Request("http://x/", b"", LONG_MS)))
    assert (outcome.kind, code_of(outcome)) == (kind, code)
    assert transport.closed == len(reads)  # the response, if there is one, and the transport


def test_a_custom_transport_can_replace_the_network() -> None:
    transport = Scripted(b"do", b"ne", b"")
    delivery = Delivery(lambda: transport)
    outcome = run_async(delivery.deliver(Request("https://x/", b"", LONG_MS)))
    assert (outcome.kind, body_of(outcome), transport.closed) == (OutcomeKind.COMPLETED, b"done", 1)


def test_nothing_is_left_open_and_nothing_is_logged(parser, run, caplog) -> None:
    """Rule deliver.no-leaks."""

    async def main() -> None:
        script = [close(), reset(), hang(), answer(b"garbage\r\n\r\n"), status(500), answer(OK, then="close")]
        async with FaultWorker(*script) as worker, delivering(parser) as delivery:
            for _ in range(len(script) + 3):
                await delivery.deliver(Request(worker.url, BODY, SHORT_MS))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    run(main())
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.WARNING):
        run(main())
    assert len(os.listdir("/proc/self/fd")) == before
    assert caplog.records == []
