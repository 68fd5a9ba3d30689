"""Addresses: localhost on either family, names, and refused connections."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from localqueue.core.models import OutcomeKind, Request
from localqueue.delivery import name_lookup
from tests.delivery.fault_worker import (
    FaultWorker,
)
from tests.delivery.support import (
    BODY,
    LONG_MS,
    code_of,
    delivering,
    message_of,
    needs_ipv6,
)
from tests.support import WAIT_S, free_port, run_async


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_localhost_works_on_whichever_loopback_address_the_service_listens(parser, run, host) -> None:
    """Rule deliver.localhost."""

    async def main() -> None:
        async with FaultWorker(host=host, url_host="localhost") as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.requests[0].headers["host"] == f"localhost:{worker.port}"

    run(main())


@needs_ipv6
def test_an_ipv6_address_works(parser) -> None:
    async def main() -> None:
        async with FaultWorker(host="::1") as worker, delivering(parser) as delivery:
            assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            assert worker.requests[0].headers["host"] == f"[::1]:{worker.port}"

    run_async(main())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
def test_an_address_without_a_listener_is_refused(parser, run, host) -> None:
    """Rule deliver.refused."""

    async def main() -> None:
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(f"http://{host}:{free_port()}/", BODY, LONG_MS))
            assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connect_refused")
            assert message_of(outcome).startswith("connection refused: nothing is listening on ")
            assert "Is the service running?" in message_of(outcome)

    run(main())


@needs_ipv6
@pytest.mark.parametrize(("listening", "asked"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_service_on_the_other_loopback_address_is_pointed_out(parser, listening, asked) -> None:
    async def main() -> None:
        async with FaultWorker(host=listening, port=free_port()) as worker, delivering(parser) as delivery:
            url = f"http://{'[::1]' if ':' in asked else asked}:{worker.port}/"
            outcome = await delivery.deliver(Request(url, BODY, LONG_MS))
            assert code_of(outcome) == "connect_refused"
            assert f", but on {listening}. Use localhost" in message_of(outcome)
            assert worker.requests == []

    run_async(main())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "Name not known"), "connect_failed"),
        (UnicodeError("too long"), "connect_failed"),
        (ValueError("an error that nobody expects"), "protocol"),
    ],
)
def test_a_name_without_an_address_can_not_be_connected(parser, monkeypatch, error, code) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    async def main() -> None:
        monkeypatch.setattr(name_lookup.socket, "getaddrinfo", fail)
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request("http://nowhere.invalid/", BODY, LONG_MS))
            assert code_of(outcome) == code
            assert ("nowhere.invalid" if code == "connect_failed" else str(error)) in message_of(outcome)

    run_async(main())


def test_an_address_that_can_not_be_reached_is_a_failure(parser) -> None:
    async def main() -> None:
        async with delivering(parser) as delivery:
            outcome = await delivery.deliver(Request("http://255.255.255.255:9/", BODY, LONG_MS))
            assert (outcome.kind, code_of(outcome)) == (OutcomeKind.CONNECTION_ERROR, "connect_failed")

    run_async(main())


def test_every_address_of_a_name_is_tried(parser, monkeypatch) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            first = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", worker.port))
            second = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", worker.port))

            monkeypatch.setattr(name_lookup.socket, "getaddrinfo", lambda *_, **__: [first, second])
            url = f"http://worker.test:{worker.port}/"
            assert (await delivery.deliver(Request(url, BODY, LONG_MS))).status == 200

    run_async(main())


def test_a_name_server_that_does_not_answer_holds_up_its_own_target_only(parser, monkeypatch) -> None:
    """Rule deliver.deadline."""
    asked: list[str] = []
    all_asked, may_answer = threading.Event(), threading.Event()

    def silent(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        if len(asked) == 20:
            all_asked.set()
        may_answer.wait(60)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    async def main() -> None:
        monkeypatch.setattr(name_lookup.socket, "getaddrinfo", silent)
        async with FaultWorker() as worker, delivering(parser) as delivery:
            slow = [Request(f"http://orders{n % 20}.invalid/", BODY, LONG_MS) for n in range(100)]
            waiting = [asyncio.create_task(delivery.deliver(each)) for each in slow]
            found = await delivery.deliver(Request(f"http://127.0.0.1:{worker.port}/", BODY, LONG_MS))
            assert found.status == 200
            await asyncio.to_thread(all_asked.wait, WAIT_S)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            assert len(asked) == 20  # the deliveries to one target share a lookup
            may_answer.set()
            with pytest.raises(socket.gaierror):
                await name_lookup.look_up("orders0.invalid", 80)

    run_async(main())
