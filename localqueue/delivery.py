"""Make one HTTP attempt and say how it ended; knows nothing of retries."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable

import httpx

from localqueue import __version__
from localqueue.models import RESPONSE_BODY_LIMIT, AttemptError, Outcome, OutcomeKind, Request, Response
from localqueue.wire import WireError, WireTransport

MakeTransport = Callable[[httpx.URL], httpx.AsyncBaseTransport]
USER_AGENT = f"localqueue/{__version__}"


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Load the certificates once: it takes longer than a delivery."""
    return httpx.create_ssl_context(trust_env=False)


def make_transport(url: httpx.URL) -> httpx.AsyncBaseTransport:
    """Return a transport for one connection; no proxies, no redirects, no retries."""
    if url.scheme == "https":
        return httpx.AsyncHTTPTransport(verify=_ssl_context(), trust_env=False, retries=0)
    return WireTransport()


class Delivery:
    """Deliver requests, each over a connection that nobody else uses meanwhile."""

    def __init__(self, make: MakeTransport = make_transport) -> None:
        self._make = make
        self._idle: dict[tuple[str, str, int | None], list[httpx.AsyncBaseTransport]] = {}

    async def deliver(self, request: Request) -> Outcome:
        """Return how the attempt ended. Never raises, but for CancelledError; then the connection is closed.

        Source: platform reference (2xx completes). Our decision: one deadline over the whole attempt; a
        response is complete at its end, or once 64 KiB of its body were read.
        """
        url = httpx.URL(request.url)
        origin = (url.scheme, url.host, url.port)
        idle = self._idle.setdefault(origin, [])
        transport = idle.pop() if idle else self._make(url)
        is_kept = False
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                outcome = await _exchange(transport, _to_httpx(url, request))
            is_kept = True
        except TimeoutError:
            outcome = _timed_out(transport, request.timeout_ms)
        except (httpx.TransportError, OSError) as error:
            outcome = _failed(error)
        finally:
            if is_kept:
                idle.append(transport)
            else:
                await transport.aclose()
        return outcome

    async def aclose(self) -> None:
        """Close every connection."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()


def _to_httpx(url: httpx.URL, request: Request) -> httpx.Request:
    headers = [*request.headers, ("User-Agent", USER_AGENT)]
    return httpx.Request("POST", url, headers=headers, content=request.body)


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> Outcome:
    response = await transport.handle_async_request(request)
    body, is_truncated = bytearray(), False
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        async for chunk in stream:
            body += chunk
            if len(body) > RESPONSE_BODY_LIMIT:
                is_truncated = True
                break
    finally:
        await response.aclose()
    kept = Response(_headers(response), bytes(body[:RESPONSE_BODY_LIMIT]), is_truncated)
    return _judged(response, kept)


def _headers(response: httpx.Response) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in response.headers.raw
        if name.lower() not in (b"set-cookie", b"set-cookie2")
    )


def _judged(response: httpx.Response, kept: Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(OutcomeKind.COMPLETED, status, None, kept)
    message = f"the service answered {status}"
    if 300 <= status < 400 and "location" in response.headers:
        message += f" to {response.headers['location']}; redirects are not followed"
    return Outcome(OutcomeKind.HTTP_ERROR, status, AttemptError(f"http_{status}", message), kept)


def _timed_out(transport: httpx.AsyncBaseTransport, timeout_ms: int) -> Outcome:
    phase = transport.phase if isinstance(transport, WireTransport) else "wait"
    doing = {
        "connect": "while connecting",
        "send": "while sending the request",
        "wait": "while waiting for a response",
        "read": "while reading the response",
    }[phase]
    error = AttemptError("timeout", f"no complete response within {timeout_ms} ms, {doing}")
    return Outcome(OutcomeKind.TIMEOUT, None, error)


def _failed(error: Exception) -> Outcome:
    code = error.code if isinstance(error, WireError) else _code(error)
    return Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError(code, str(error) or type(error).__name__))


def _code(error: Exception) -> str:
    """Return the code for an error of httpx's own transport, which carries https."""
    if isinstance(error, httpx.ConnectError):
        return "connect_refused" if "refused" in str(error) or "attempts failed" in str(error) else "connect_failed"
    if isinstance(error, httpx.RemoteProtocolError):
        return "closed_no_response" if "without sending a response" in str(error) else "protocol"
    return "connection_reset"
