"""Send requests over TLS with httpx's transport; each uses a new connection, so none is ever stale."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx

from localqueue.core.addresses import LOOPBACK, is_localhost
from localqueue.core.explanations import NO_TLS
from localqueue.core.text import safe
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.response_parser import HEAD_LIMIT, head_too_large, size_of
from localqueue.delivery.tcp_connect import own_fault
from localqueue.delivery.transport import Headers
from localqueue.delivery.url import Url

_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=0)
_PHASES = {
    "connection.connect_tcp.started": "connect",
    "http11.send_request_headers.started": "send",
    "http11.receive_response_headers.started": "wait",
    "http11.receive_response_body.started": "read",
}


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the shared TLS context: loading the certificates takes longer than a delivery.

    Our decision: certificates that the system trusts are accepted too, such as those of mkcert or SSL_CERT_FILE.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


class HttpsTransport:
    """A transport for `https://` requests, one at a time; `localhost` means both loopback addresses."""

    def __init__(self) -> None:
        self.phase = "connect"
        self._half_open: Any = None
        self._inner = httpx.AsyncHTTPTransport(tls_context(), trust_env=False, retries=0, limits=_LIMITS)

    async def send(self, url: Url, headers: Headers, body: bytes) -> _Response:
        """Send a POST request and return its response. Raises ExchangeError or TimeoutError."""
        self.phase = "connect"
        try:
            response = await self._sent(url, headers, body)
        except httpx.HTTPError as error:
            raise self.translated(error) from error
        if size_of(response.headers.raw) > HEAD_LIMIT:
            await response.aclose()
            raise head_too_large()
        return _Response(self, response)

    async def aclose(self) -> None:
        """Close the connection, even if its handshake was cut off, which httpcore 1.0 forgets."""
        half_open, self._half_open = self._half_open, None
        if half_open is not None:
            await half_open.aclose()
        await self._inner.aclose()

    def translated(self, error: httpx.HTTPError) -> Exception:
        """Return an error of httpx as one of `Transport.send`."""
        reason = safe(str(error) or type(error).__name__)
        if isinstance(error, httpx.TimeoutException):
            return TimeoutError(reason)
        if isinstance(error, httpx.ConnectError):
            lacking = next(filter(None, map(own_fault, _causes(error))), None)
            return lacking or _not_connected(error, reason)
        if self.phase == "read":
            return ExchangeError("broken_response", f"the response was cut short: {reason}")
        if isinstance(error, httpx.NetworkError):
            return ExchangeError("connection_reset", f"the connection was reset: {reason}")
        if "without sending a response" in reason:
            return ExchangeError("closed_no_response", "the service closed the connection without a response")
        return ExchangeError("protocol", f"the response isn't valid HTTP/1.1: {reason}")

    async def _sent(self, url: Url, headers: Headers, body: bytes) -> httpx.Response:
        if not is_localhost(url.host):
            return await self._send_to(url.host, url, headers, body)
        first, second = LOOPBACK
        try:
            return await self._send_to(first, url, headers, body)
        except httpx.ConnectError as error:
            if not _is_refused(error):
                raise
        return await self._send_to(second, url, headers, body)

    async def _send_to(self, address: str, url: Url, headers: Headers, body: bytes) -> httpx.Response:
        """Send a request to an address; the Host header and the name in the handshake are those of the URL."""
        to = httpx.URL(scheme=url.scheme, host=address, port=url.port, raw_path=url.target)
        extensions = {"trace": self._trace, "sni_hostname": url.host}
        request = httpx.Request("POST", to, headers=headers, stream=httpx.ByteStream(body), extensions=extensions)
        return await self._inner.handle_async_request(request)

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        self.phase = _PHASES.get(event, self.phase)
        if event == "connection.connect_tcp.complete":
            self._half_open = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._half_open = None


class _Response:
    """A response of httpx, with the errors of `Transport.send`."""

    def __init__(self, transport: HttpsTransport, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: Headers = response.headers.raw
        self._transport = transport
        self._stream = response.stream
        self._chunks: AsyncIterator[bytes] = aiter(response.stream)
        self._length: str | None = response.headers.get("content-length")
        self._read = 0

    @property
    def is_at_end(self) -> bool:
        return self._length == str(self._read)

    async def read(self) -> bytes:
        try:
            chunk = await anext(self._chunks, b"")
        except httpx.HTTPError as error:
            raise self._transport.translated(error) from error
        self._read += len(chunk)
        return chunk

    async def aclose(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):  # otherwise the loop would need a task to close it later
            await self._chunks.aclose()
        await self._stream.aclose()


def _not_connected(error: httpx.ConnectError, reason: str) -> ExchangeError:
    if _is_refused(error):
        message = "connection refused: nothing is listening there. Is the service running?"
        return ExchangeError("connect_refused", message)
    if _is_plain(error):
        return ExchangeError("connect_failed", NO_TLS)
    return ExchangeError("connect_failed", f"can't connect: {reason}")


def _is_refused(error: BaseException) -> bool:
    """Return whether every address refused the connection."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))


def _is_plain(error: BaseException) -> bool:
    """Return whether the other side doesn't speak TLS."""
    reasons = [cause.reason for cause in _causes(error) if isinstance(cause, ssl.SSLError)]
    return "WRONG_VERSION_NUMBER" in reasons


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, including the members of groups."""
    errors: list[BaseException] = [error]
    for current in errors:
        members = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        causes = (*members, current.__cause__, current.__context__)
        errors += [cause for cause in causes if cause and cause not in errors]
    return errors
