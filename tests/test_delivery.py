"""One attempt against workers that behave badly on a raw socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from localqueue.delivery import Delivery
from localqueue.models import RESPONSE_BODY_LIMIT, Outcome, OutcomeKind, Request
from tests.support import run_async

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class RawWorker:
    """Read whole requests and hand each connection to `behave`."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.closed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/work"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


@contextlib.asynccontextmanager
async def raw_worker(
    behave: Callable[[RawWorker, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    host: str = "127.0.0.1",
) -> AsyncIterator[RawWorker]:
    worker = RawWorker()
    tasks: list[asyncio.Task[None] | None] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker.connections += 1
        tasks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await behave(worker, reader, writer)
        writer.close()
        worker.closed.set()

    server = await asyncio.start_server(connected, host, 0, limit=2**20)
    worker.port = server.sockets[0].getsockname()[1]
    try:
        yield worker
    finally:
        server.close()
        for task in filter(None, tasks):
            task.cancel()
            await asyncio.wait([task])
        for _ in range(5):
            await asyncio.sleep(0)


def answering(*parts: bytes, then_hang: bool = False) -> Callable[..., Awaitable[None]]:
    """Return a behaviour: read a request, write the parts, close or hang."""

    async def behave(worker: RawWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await worker.read(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then_hang:
            await reader.read()

    return behave


async def deliver_once(behave: Callable[..., Awaitable[None]], timeout_ms: int = 20_000) -> Outcome:
    async with raw_worker(behave) as worker:
        delivery = Delivery()
        try:
            return await delivery.deliver(Request(worker.url, b'{"data":1}', timeout_ms))
        finally:
            await delivery.aclose()


COMPLETE = {
    "200": OK,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "205": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "299": b"HTTP/1.1 299 Mine\r\nContent-Length: 0\r\n\r\n",
    "no length, ended by the end of the file": b"HTTP/1.1 200 OK\r\n\r\nwhatever",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nold",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "hints first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK,
    "bad gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    "a bogus charset": b"HTTP/1.1 200 OK\r\nContent-Type: text/x; charset=klingon\r\nContent-Length: 1\r\n\r\n\xff",
}
HTTP_ERRORS = [301, 302, 304, 307, 308, 400, 404, 413, 429, 500, 503, 600, 999]
BROKEN = {
    "closes without a word": (b"", "closed_no_response"),
    "closes within the head": (b"HTTP/1.1 200 OK\r\nContent-", "closed_no_response"),
    "cuts the body short": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", "broken_response"),
    "cuts a chunk short": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nok", "broken_response"),
    "answers 101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol"),
    "answers 099": (b"HTTP/1.1 099 Huh\r\n\r\n", "protocol"),
    "talks garbage": (b"\x00\x01\x02 hello\r\n\r\n", "protocol"),
    "talks TLS": (b"\x15\x03\x01\x00\x02\x02\x46", "protocol"),
    "contradicts itself": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", "protocol"),
    "sends a huge header": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "protocol"),
}
HANGS = {
    "never answers": (b"", "waiting"),
    "hangs after hints": (b"HTTP/1.1 103 Early Hints\r\n\r\n", "waiting"),
    "hangs within the head": (b"HTTP/1.1 200 OK\r\n", "waiting"),
    "hangs within the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", "reading"),
    "hangs without a length": (b"HTTP/1.1 200 OK\r\n\r\nok", "reading"),
}


@pytest.mark.parametrize("case", COMPLETE)
def test_any_whole_2xx_completes(case: str) -> None:
    """Rule deliver.two-xx."""
    outcome = run_async(deliver_once(answering(COMPLETE[case])))
    assert (outcome.kind, outcome.error) == (OutcomeKind.COMPLETED, None)


@pytest.mark.parametrize("status", HTTP_ERRORS)
def test_any_other_status_is_a_failed_attempt(status: int) -> None:
    """Rule deliver.other-status: redirects are not followed, Retry-After is not obeyed."""
    head = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: /else\r\nRetry-After: 99\r\n\r\n"
    outcome = run_async(deliver_once(answering(head.encode())))
    assert (outcome.kind, outcome.status) == (OutcomeKind.HTTP_ERROR, status)
    assert outcome.error is not None and outcome.error.code == f"http_{status}"
    assert ("/else" in outcome.error.message) == (300 <= status < 400)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_exchange_is_a_failed_attempt_with_its_reason(case: str) -> None:
    """Rule deliver.broken."""
    sent, code = BROKEN[case]
    outcome = run_async(deliver_once(answering(sent)))
    assert outcome.kind is OutcomeKind.CONNECTION_ERROR
    assert outcome.error is not None and outcome.error.code == code
    assert (case != "talks TLS") or "https://" in outcome.error.message


@pytest.mark.parametrize("case", HANGS)
def test_one_deadline_ends_an_attempt_that_hangs_and_says_in_which_phase(case: str) -> None:
    """Rule deliver.deadline."""
    sent, phase = HANGS[case]
    outcome = run_async(deliver_once(answering(sent, then_hang=True), timeout_ms=150))
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert outcome.error is not None and phase in outcome.error.message


def test_a_response_that_drips_for_ever_ends_at_the_deadline() -> None:
    """Rule deliver.deadline."""

    async def behave(worker: RawWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await worker.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    outcome = run_async(deliver_once(behave, timeout_ms=150))
    assert outcome.kind in (OutcomeKind.TIMEOUT, OutcomeKind.COMPLETED)
    assert outcome.response is None or len(outcome.response.body) == RESPONSE_BODY_LIMIT


def test_an_early_answer_counts_though_the_request_was_never_read() -> None:
    """Rule deliver.early-answer."""

    async def behave(worker: RawWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async def main() -> Outcome:
        async with raw_worker(behave) as worker:
            delivery = Delivery()
            outcome = await delivery.deliver(Request(worker.url, b"x" * 5_000_000, 20_000))
            await delivery.aclose()
            return outcome

    assert run_async(main()).status == 413


def test_a_huge_body_completes_after_64_kib_and_is_not_held_in_memory() -> None:
    """Rule deliver.complete-at-64-kib."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    tracemalloc.start()
    outcome = run_async(deliver_once(answering(head, *[b"x" * 100_000] * 20, then_hang=True)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.kind is OutcomeKind.COMPLETED and outcome.response is not None
    assert (len(outcome.response.body), outcome.response.truncated) == (RESPONSE_BODY_LIMIT, True)
    assert peak < 5_000_000


def test_a_body_of_exactly_64_kib_is_whole() -> None:
    body = b"x" * RESPONSE_BODY_LIMIT
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    outcome = run_async(deliver_once(answering(head + body)))
    assert outcome.response is not None and not outcome.response.truncated


def test_a_compressed_body_is_kept_as_it_came_and_cookies_are_not_kept() -> None:
    body = gzip.compress(b"0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nX-\xe9: \xe9\r\nContent-Length: %d\r\n\r\n"
    outcome = run_async(deliver_once(answering(head.replace(b"X-\xe9", b"X-E") % len(body) + body)))
    assert outcome.response is not None
    assert outcome.response.body == body
    assert dict(outcome.response.headers).keys() == {"content-encoding", "x-e", "content-length"}


async def keep_answering(worker: RawWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await worker.read(reader)
        writer.write(OK)
        await writer.drain()


def test_a_connection_is_used_again_and_the_request_says_what_it_must() -> None:
    """Rule deliver.request, deliver.keep-alive."""

    async def main() -> None:
        async with raw_worker(keep_answering) as worker:
            delivery = Delivery()
            for _ in range(3):
                outcome = await delivery.deliver(Request(worker.url, b'{"data":1}', 5000))
                assert outcome.kind is OutcomeKind.COMPLETED
            assert (worker.connections, len(worker.requests)) == (1, 3)
            head = worker.requests[0].split(b"\r\n\r\n")[0].lower().split(b"\r\n")
            assert head[0] == b"post /work http/1.1"
            assert {b"content-type: application/json", b"content-length: 10", b"accept-encoding: identity"} <= {*head}
            assert not any(line.startswith(b"authorization") for line in head)
            await delivery.aclose()

    run_async(main())


@pytest.mark.parametrize("announcement", [b"", b"Keep-Alive: timeout=0\r\n", b"Connection: close\r\n"])
def test_a_connection_closed_while_idle_costs_no_attempt_and_delivers_nothing_twice(announcement: bytes) -> None:
    """Rule deliver.keep-alive."""
    answer = OK.replace(b"Content-Length", announcement + b"Content-Length")

    async def main() -> None:
        async with raw_worker(answering(answer)) as worker:  # it closes after each answer
            delivery = Delivery()
            for _ in range(50):
                outcome = await delivery.deliver(Request(worker.url, b"{}", 5000))
                assert outcome.kind is OutcomeKind.COMPLETED
            assert len(worker.requests) == 50
            await delivery.aclose()

    run_async(main())


def test_the_end_of_the_file_is_seen_though_the_loop_has_not_run() -> None:
    """Rule deliver.keep-alive: the kernel is asked, not only the event loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/work"

    def serve_one() -> socket.socket:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(OK)
        return connection

    async def main() -> None:
        delivery = Delivery()
        for _ in range(3):
            served = asyncio.create_task(asyncio.to_thread(serve_one))
            outcome = await delivery.deliver(Request(url, b"{}", 5000))
            assert outcome.kind is OutcomeKind.COMPLETED
            (await served).close()  # the loop does not run between this and the next attempt
        await delivery.aclose()

    run_async(main())
    listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_works_whichever_address_the_service_listens_on(host: str) -> None:
    """Rule deliver.localhost."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6: ::1 was not tested")

    async def main() -> Outcome:
        async with raw_worker(keep_answering, host) as worker:
            delivery = Delivery()
            outcome = await delivery.deliver(Request(f"http://localhost:{worker.port}/work", b"{}", 5000))
            await delivery.aclose()
            return outcome

    assert run_async(main()).kind is OutcomeKind.COMPLETED


def test_a_refused_loopback_address_names_the_other_family_if_that_listens() -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6: the hint was not tested")

    async def main() -> Outcome:
        async with raw_worker(keep_answering, "::1") as worker:
            delivery = Delivery()
            outcome = await delivery.deliver(Request(f"http://127.0.0.1:{worker.port}/work", b"{}", 5000))
            await delivery.aclose()
            return outcome

    outcome = run_async(main())
    assert outcome.error is not None
    assert outcome.error.code == "connect_refused" and "on ::1" in outcome.error.message


def test_proxies_named_in_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule deliver.proxies."""

    async def main() -> None:
        async with raw_worker(keep_answering) as proxy, raw_worker(keep_answering) as worker:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
                monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
            delivery = Delivery()
            outcome = await delivery.deliver(Request(worker.url, b"{}", 5000))
            assert (outcome.kind, proxy.connections) == (OutcomeKind.COMPLETED, 0)
            await delivery.aclose()

    run_async(main())


def test_nobody_listens_and_unknown_hosts_are_told_apart() -> None:
    async def main() -> list[str]:
        delivery = Delivery()
        urls = ["http://127.0.0.1:9/", "http://localhost:9/", "https://127.0.0.1:9/", "http://no.such.host.invalid/"]
        outcomes = [await delivery.deliver(Request(url, b"{}", 20_000)) for url in urls]
        await delivery.aclose()
        return [outcome.error.code for outcome in outcomes if outcome.error]

    assert run_async(main()) == ["connect_refused", "connect_refused", "connect_refused", "connect_failed"]


def test_a_cancelled_attempt_closes_its_connection() -> None:
    async def main() -> None:
        came = asyncio.Event()

        async def behave(worker: RawWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await worker.read(reader)
            came.set()
            await reader.read()

        async with raw_worker(behave) as worker:
            delivery = Delivery()
            task = asyncio.create_task(delivery.deliver(Request(worker.url, b"{}", 20_000)))
            await came.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await worker.closed.wait()
            await delivery.aclose()

    run_async(main())


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
