"""The request that a delivery sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from localqueue.core.models import OutcomeKind, Request
from localqueue.delivery import https_transport
from localqueue.delivery.delivery import USER_AGENT, Delivery
from tests.delivery.fault_worker import (
    FaultWorker,
)
from tests.delivery.support import (
    BODY,
    LONG_MS,
    PROXY_VARIABLES,
    code_of,
    delivering,
)
from tests.support import free_port, run_async


def test_a_request_is_a_plain_post_with_our_headers_and_the_body_as_it_is(parser, run) -> None:
    """Rule deliver.request."""

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(worker.url + "/a%20b?x=1", BODY, LONG_MS))
            assert (outcome.kind, outcome.status, outcome.error) == (OutcomeKind.COMPLETED, 200, None)
            [request] = worker.requests
            assert request.request_line == "POST /job/a%20b?x=1 HTTP/1.1"
            assert request.body == BODY
            assert request.headers == {
                "host": f"127.0.0.1:{worker.port}",
                "content-type": "application/json",
                "accept": "*/*",
                "accept-encoding": "identity",
                "user-agent": USER_AGENT,
                "content-length": str(len(BODY)),
            }

    run(main())


def test_further_headers_of_a_request_are_sent(parser) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, b"", LONG_MS, (("X-Schedule-Name", "nightly"),)))
            assert worker.requests[0].headers["x-schedule-name"] == "nightly"
            assert worker.requests[0].headers["content-length"] == "0"

    run_async(main())


def test_a_header_with_a_line_break_is_never_sent(parser) -> None:
    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            outcome = await delivery.deliver(Request(worker.url, b"", LONG_MS, (("X", "a\r\nY: b"),)))
            assert code_of(outcome) == "protocol"
            assert worker.requests == []

    run_async(main())


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://", "http://[::1", "http://a..b/"])
def test_a_url_that_can_not_be_used_is_an_outcome_and_no_exception(url) -> None:
    async def main() -> None:
        delivery = Delivery()
        assert code_of(await delivery.deliver(Request(url, b"", LONG_MS))) == "connect_failed"
        await delivery.aclose()

    run_async(main())


def test_proxies_of_the_environment_are_ignored(parser, monkeypatch) -> None:
    """Rule deliver.no-proxies."""

    async def main() -> None:
        async with FaultWorker() as proxy, FaultWorker() as worker:
            for name in PROXY_VARIABLES:
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
            async with delivering(parser) as delivery:
                assert (await delivery.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            usual = Delivery()
            assert (await usual.deliver(Request(worker.url, BODY, LONG_MS))).status == 200
            https = f"https://127.0.0.1:{free_port()}/"
            assert code_of(await usual.deliver(Request(https, BODY, LONG_MS))) == "connect_refused"
            await usual.aclose()
            assert proxy.connections == 0

    https_transport.tls_context.cache_clear()
    run_async(main())


def test_no_credentials_are_taken_from_netrc_or_the_url(parser, monkeypatch, tmp_path: Path) -> None:
    """Rule deliver.no-credentials."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    async def main() -> None:
        async with FaultWorker() as worker, delivering(parser) as delivery:
            await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await delivery.deliver(Request(worker.url.replace("//", "//me:pw@"), BODY, LONG_MS))
            assert [("authorization" in each.headers) for each in worker.requests] == [False, False]

    run_async(main())
