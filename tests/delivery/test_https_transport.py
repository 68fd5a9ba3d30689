"""Deliveries over https."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from localqueue.core.errors import OutOfResources
from localqueue.core.explanations import NO_TLS
from localqueue.core.models import Outcome, Request
from localqueue.delivery import https_transport
from localqueue.delivery.delivery import Delivery
from tests.delivery.behaviors import UNTIL_EOF
from tests.delivery.fault_worker import (
    Behavior,
    FaultWorker,
    answer,
    close,
    hang,
    status,
)
from tests.delivery.support import (
    BODY,
    IN_PHASE_MS,
    LONG_MS,
    body_of,
    code_of,
    message_of,
)
from tests.support import run_async


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Make a certificate for localhost that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += [
        "-keyout",
        str(key),
        "-out",
        str(cert),
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        names,
    ]
    subprocess.run(command, check=True, capture_output=True)
    yield cert, key
    https_transport.tls_context.cache_clear()


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Serve with that certificate, which we trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    https_transport.tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def deliver_securely(tls: ssl.SSLContext, behavior: Behavior, timeout_ms: int = LONG_MS) -> Outcome:
    async with FaultWorker(behavior, tls=tls, url_host="localhost") as worker:
        delivery = Delivery()
        outcome = await delivery.deliver(Request(worker.url, BODY, timeout_ms))
        await delivery.aclose()
        assert len(worker.requests) == 1
        assert worker.requests[0].headers["host"] == f"localhost:{worker.port}"
        return outcome


@pytest.mark.parametrize(
    ("behavior", "code"),
    [
        (status(200, body=b"ok"), None),
        (answer(UNTIL_EOF + b"ok", then="close"), None),
        (status(500, body=b"ok"), "http_500"),
        (close(), "closed_no_response"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", then="close"), "broken_response"),
        (answer(b"nonsense\r\n\r\n"), "protocol"),
        (answer(b"HTTP/1.1 101 Switching\r\n\r\n"), "protocol"),
    ],
)
def test_https_has_the_same_outcomes(tls, run, behavior, code) -> None:
    """Rule deliver.https."""
    outcome = run(deliver_securely(tls, behavior))
    assert code_of(outcome) == code
    if outcome.response is not None:
        assert body_of(outcome) == b"ok"


@pytest.mark.parametrize(
    ("error", "phase", "raised"),
    [
        (httpx.ConnectError("no"), "connect", "connect_failed"),
        (httpx.ReadTimeout("slow"), "wait", TimeoutError),
        (httpx.ReadError("gone"), "wait", "connection_reset"),
        (httpx.ReadError("gone"), "read", "broken_response"),
        (httpx.RemoteProtocolError("what"), "wait", "protocol"),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), "wait", "closed_no_response"),
    ],
)
def test_each_error_of_httpx_has_its_code(error, phase, raised) -> None:
    transport = https_transport.HttpsTransport()
    transport.phase = phase
    translated = transport.translated(error)
    assert raised in (getattr(translated, "code", None), type(translated))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM])
def test_a_connection_for_which_a_descriptor_is_missing_is_no_attempt(code) -> None:
    """Rule deliver.own-faults."""
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = ExceptionGroup("all", [OSError(code, "no")])
    assert isinstance(https_transport.HttpsTransport().translated(error), OutOfResources)


def test_headers_over_https_are_bounded(tls) -> None:
    head = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 6_000) for number in range(11))
    outcome = run_async(deliver_securely(tls, answer(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n")))
    assert code_of(outcome) == "protocol"
    assert "larger than 64 KiB" in message_of(outcome)


@pytest.mark.parametrize(
    ("behavior", "phase"),
    [(hang(), "waiting for"), (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", then="hold"), "reading")],
)
def test_a_timeout_over_https_says_in_which_phase(tls, behavior, phase) -> None:
    outcome = run_async(deliver_securely(tls, behavior, IN_PHASE_MS))
    assert code_of(outcome) == "timeout"
    assert f"while {phase} the response" in message_of(outcome)


def test_a_certificate_that_nobody_vouches_for_is_refused(tls, monkeypatch) -> None:
    async def main() -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        https_transport.tls_context.cache_clear()
        async with FaultWorker(tls=tls) as worker:
            delivery = Delivery()
            outcome = await delivery.deliver(Request(worker.url, BODY, LONG_MS))
            await delivery.aclose()
            assert (code_of(outcome), worker.requests) == ("connect_failed", [])
            assert "certificate" in message_of(outcome).lower()

    run_async(main())


async def deliver_to(server: Callable[[socket.socket], None], timeout_ms: int = LONG_MS) -> Outcome:
    """Deliver over https to a server that gets each connection before any byte was read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                server(peer)

        serving = asyncio.get_running_loop().run_in_executor(None, serve)
        delivery = Delivery()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        outcome = await delivery.deliver(Request(url, BODY, timeout_ms))
        await delivery.aclose()
        await serving
        return outcome


def test_https_to_a_plain_service_hints_at_http() -> None:
    def speak_plainly(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    outcome = run_async(deliver_to(speak_plainly))
    assert code_of(outcome) == "connect_failed"
    assert message_of(outcome) == NO_TLS  # which has an explanation


def test_a_handshake_that_never_ends_times_out_and_leaves_nothing_open(run) -> None:
    def keep_silent(peer: socket.socket) -> None:
        while peer.recv(65_536):
            pass  # until the other side closes

    outcome = run(deliver_to(keep_silent, 300))
    assert code_of(outcome) == "timeout"
    assert message_of(outcome).endswith("while connecting")
