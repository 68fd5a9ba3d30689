"""The one deadline over a whole attempt, and the limit on a response's body."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import socket
import tracemalloc

import pytest

from localqueue.core.models import RESPONSE_BODY_LIMIT, Outcome, OutcomeKind, Request
from localqueue.core.times import duration
from tests.delivery.behaviors import LIMITS, PHASES, UNTIL_EOF
from tests.delivery.fault_worker import (
    OK,
    Exchange,
    FaultWorker,
    hang,
    hang_unread,
    response,
    status,
    stream,
)
from tests.delivery.support import (
    BODY,
    IN_PHASE_MS,
    LONG_MS,
    SHORT_MS,
    body_of,
    code_of,
    deliver_once,
    delivering,
    message_of,
)
from tests.support import run_async


def test_the_one_deadline_ends_an_attempt_and_says_in_which_phase(parser, run) -> None:
    """Rule deliver.deadline."""

    async def main() -> list[Outcome]:
        each = [deliver_once(parser, behavior, IN_PHASE_MS) for behaviors in PHASES.values() for behavior in behaviors]
        return await asyncio.gather(*each)

    outcomes = run(main())
    assert {(each.kind, each.status, code_of(each)) for each in outcomes} == {(OutcomeKind.TIMEOUT, None, "timeout")}
    assert [message_of(each) for each in outcomes] == [
        f"timed out after {duration(IN_PHASE_MS)} while {phase}; the handler may still be running"
        for phase, behaviors in PHASES.items()
        for _ in behaviors
    ]


def test_the_deadline_ends_sending(parser, run) -> None:
    outcome = run(deliver_once(parser, hang_unread(), IN_PHASE_MS, b"x" * 20_000_000))
    assert code_of(outcome) == "timeout"
    assert message_of(outcome) == f"timed out after {duration(IN_PHASE_MS)} while sending the request"


def test_the_deadline_ends_connecting_to_a_full_backlog(parser) -> None:
    async def main() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as stack:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            async with delivering(parser) as delivery:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
                outcome = await delivery.deliver(Request(url, BODY, SHORT_MS))
                assert code_of(outcome) == "timeout"
                assert message_of(outcome).endswith("while connecting")

    run_async(main())


def test_a_timeout_closes_the_connection_and_a_late_response_changes_nothing(parser, run) -> None:
    """Rule deliver.late-answer."""

    async def late(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.hold()
        await exchange.send(response(500))

    async def main() -> None:
        async with FaultWorker(late) as worker, delivering(parser) as delivery:
            while not worker.requests:  # on a stalled machine, time may be over before the worker gets the request
                assert code_of(await delivery.deliver(Request(worker.url, BODY, SHORT_MS))) == "timeout"
            before = worker.connections
            worker.release.set()
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            await worker.wait_closed(before)
            assert worker.connections == before + 1

    run(main())


def test_a_response_right_at_the_deadline_has_exactly_one_outcome(parser) -> None:
    async def at_the_deadline(exchange: Exchange) -> None:
        await exchange.read_body()
        loop = asyncio.get_running_loop()
        tick = loop.create_future()
        loop.call_later(0.02, tick.set_result, None)
        await tick
        await exchange.send(OK)

    async def main() -> None:
        async with FaultWorker(then=at_the_deadline) as worker, delivering(parser) as delivery:
            work = [delivery.deliver(Request(worker.url, BODY, 20)) for _ in range(50)]
            kinds = {outcome.kind for outcome in await asyncio.gather(*work)}
            assert kinds <= {OutcomeKind.COMPLETED, OutcomeKind.TIMEOUT}

    run_async(main())


@pytest.mark.parametrize(("is_answered", "kind"), [(True, OutcomeKind.COMPLETED), (False, OutcomeKind.TIMEOUT)])
def test_a_response_that_came_while_the_event_loop_was_held_up_counts(parser, is_answered, kind) -> None:
    """Rule deliver.own-faults."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            async with delivering(parser) as delivery:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
                attempt = asyncio.create_task(delivery.deliver(Request(url, BODY, SHORT_MS)))
                service, _ = await loop.sock_accept(listener)
                with service:
                    await loop.sock_recv(service, 65_536)
                    if is_answered:
                        service.send(OK)
                    hold_up(loop, 10 * SHORT_MS / 1000)
                    assert (await attempt).kind is kind

    run_async(main())


def hold_up(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Let time pass in which the loop does nothing, as after a long step."""
    real = loop.time
    loop.time = lambda: real() + seconds  # type: ignore[method-assign]


def test_a_cancelled_attempt_closes_its_connection(parser, run) -> None:
    """Rule deliver.cancel."""

    async def main() -> None:
        async with FaultWorker(hang()) as worker, delivering(parser) as delivery:
            task = asyncio.create_task(delivery.deliver(Request(worker.url, BODY, LONG_MS)))
            await worker.wait_requests(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            worker.release.set()
            await worker.wait_closed(1)

    run(main())


BIG = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 20971520\r\n\r\n",
    "the end of the connection": UNTIL_EOF,
    "an error": b"HTTP/1.1 500 X\r\nContent-Length: 20971520\r\n\r\n",
}


@pytest.mark.parametrize("head", BIG.values(), ids=BIG)
def test_only_the_first_64_kib_of_a_body_are_read_and_kept(parser, head) -> None:
    """Rule deliver.response-limit."""

    async def main() -> None:
        tracemalloc.start()
        try:
            async with (
                FaultWorker(stream(head, itertools.repeat(b"x" * 65_536, 320))) as worker,
                delivering(parser) as delivery,
            ):
                outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
                await worker.wait_closed(1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert outcome.response is not None
        assert (len(body_of(outcome)), outcome.response.truncated) == (RESPONSE_BODY_LIMIT, True)
        assert outcome.kind is (OutcomeKind.HTTP_ERROR if b"500" in head else OutcomeKind.COMPLETED)
        assert peak < 4_000_000

    run_async(main())


@pytest.mark.parametrize(("behavior", "is_truncated"), LIMITS.values(), ids=LIMITS)
def test_a_response_is_complete_once_64_kib_were_read(parser, run, behavior, is_truncated) -> None:
    """Rule deliver.response-limit."""
    outcome = run(deliver_once(parser, behavior))
    assert outcome.kind is OutcomeKind.COMPLETED
    assert set(body_of(outcome)) == {ord("x")}
    assert len(body_of(outcome)) in (RESPONSE_BODY_LIMIT, RESPONSE_BODY_LIMIT - 1)
    if is_truncated is not None:  # else it depends on what came together
        assert outcome.response.truncated is is_truncated


def test_a_compressed_body_is_kept_as_it_came(parser) -> None:
    """Rule deliver.raw-body."""
    bomb = gzip.compress(b"\0" * 20_000_000)
    tracemalloc.start()
    try:
        outcome = run_async(deliver_once(parser, status(200, "Content-Encoding: gzip", body=bomb)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body_of(outcome) == bomb[:RESPONSE_BODY_LIMIT]
    assert peak < 4_000_000
