"""Send requests over TLS with httpx's transport; each uses a new connection, so none is ever stale."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx

from localqueue.core.addresses import LOOPBACK, is_localhost

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


class HttpsTransport(httpx.AsyncBaseTransport):
    """A transport for `https://` requests, one at a time; `localhost` means both loopback addresses."""

    def __init__(self) -> None:
        self.phase = "connect"
        self._half_open: Any = None
        self._inner = httpx.AsyncHTTPTransport(tls_context(), trust_env=False, retries=0, limits=_LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response. Raises httpx.TransportError."""
        self.phase = "connect"
        host = request.url.host
        request.extensions = {"trace": self._trace, "sni_hostname": host}
        if not is_localhost(host):
            return await self._inner.handle_async_request(request)
        first, second = LOOPBACK
        try:
            return await self._inner.handle_async_request(_towards(first, request))
        except httpx.ConnectError as error:
            if not is_refused(error):
                raise
        return await self._inner.handle_async_request(_towards(second, request))

    async def aclose(self) -> None:
        """Close the connection, even if its handshake was cut off, which httpcore 1.0 forgets."""
        half_open, self._half_open = self._half_open, None
        if half_open is not None:
            await half_open.aclose()
        await self._inner.aclose()

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        self.phase = _PHASES.get(event, self.phase)
        if event == "connection.connect_tcp.complete":
            self._half_open = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._half_open = None


def is_refused(error: BaseException) -> bool:
    """Return whether every address refused the connection."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))


def is_plain(error: BaseException) -> bool:
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


def _towards(address: str, request: httpx.Request) -> httpx.Request:
    """Return the request for another address; its Host header stays."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )
