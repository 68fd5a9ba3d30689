"""Make one HTTP attempt and say how it ended; knows nothing of retries."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx

from localqueue import __version__
from localqueue.core import clock
from localqueue.core.models import RESPONSE_BODY_LIMIT, AttemptError, Outcome, OutcomeKind, Queue, Request, Response
from localqueue.core.text import safe
from localqueue.core.times import duration
from localqueue.delivery import https_transport
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.http_transport import HttpTransport
from localqueue.delivery.response_parser import HEAD_LIMIT

USER_AGENT = f"localqueue/{__version__}"
_DOING = {
    "connect": "connecting",
    "send": "sending the request",
    "wait": "waiting for the response",
    "read": "reading the response",
}

Origin = tuple[str, str, int | None]


class Delivery:
    """The sender of requests; a transport is used for one request at a time.

    `transport` creates the transports instead, for simulations; each is used for one origin.
    """

    def __init__(self, transport: Callable[[], httpx.AsyncBaseTransport] | None = None) -> None:
        self._make = transport
        self._idle: dict[Origin, list[httpx.AsyncBaseTransport]] = {}
        self._is_closed = False

    def begin(self, queue: Queue) -> Callable[[Request], Awaitable[Outcome]]:
        """Return what sends an attempt of the queue."""
        return self.deliver

    async def deliver(self, request: Request) -> Outcome:
        """Return the outcome of an attempt. Raises only CancelledError; the connection is then closed.

        Source: platform reference (2xx completes, redirects are not followed). Our decision: one deadline
        for the whole attempt; a response is complete at its end, or once 64 KiB of its body were read.
        """
        try:
            url, origin = _parsed(request.url)
            prepared = _prepared(url, request)
            transport = self._take(origin)
        except Exception as error:
            return _failed("connect_failed", f"can't send to {safe(request.url)}: {safe(str(error))}")
        is_kept = False
        try:
            async with clock.Deadline(request.timeout_ms / 1000):
                outcome = await _exchange(transport, prepared)
            is_kept = _is_reusable(outcome)
        except (TimeoutError, httpx.TimeoutException):
            outcome = _timed_out(_phase(transport), request.timeout_ms)
        except Exception as error:
            outcome = _failure_of(error, _phase(transport))
        finally:
            await self._put_back(origin, transport, is_kept)
        return outcome

    async def aclose(self) -> None:
        """Close every connection; one in use is closed when its delivery ends."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                await _close(idle.pop())

    def _take(self, origin: Origin) -> httpx.AsyncBaseTransport:
        """Return the transport that was used last, so that a few deliveries reuse a few connections."""
        idle = self._idle.setdefault(origin, [])
        if idle:
            return idle.pop()
        if self._make is not None:
            return self._make()
        return https_transport.HttpsTransport() if origin[0] == "https" else HttpTransport()

    async def _put_back(self, origin: Origin, transport: httpx.AsyncBaseTransport, is_kept: bool) -> None:
        if is_kept and not self._is_closed:
            self._idle[origin].append(transport)
        else:
            await _close(transport)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[httpx.URL, Origin]:
    url = httpx.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the URL must start with http:// or https:// and name a host")
    return url, (url.scheme, url.host, url.port)


@functools.lru_cache(maxsize=1024)
def _headers(url: str, given: tuple[tuple[str, str], ...], size: int) -> httpx.Headers:
    """Return all headers of a request; most deliveries of a queue share them."""
    host = _parsed(url)[0].netloc.decode("ascii")
    return httpx.Headers([("Host", host), *given, ("User-Agent", USER_AGENT), ("Content-Length", str(size))])


def _prepared(url: httpx.URL, request: Request) -> httpx.Request:
    headers = _headers(request.url, request.headers, len(request.body))
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(request.body))


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    with contextlib.suppress(Exception):
        await transport.aclose()


def _is_reusable(outcome: Outcome) -> bool:
    """Return whether the connection can be used for another attempt.

    After a failure it can't: many servers, such as uvicorn, respond 500 when a handler raises and then close the
    connection without announcing it. The next attempt would fail.
    """
    response = outcome.response
    return outcome.kind is OutcomeKind.COMPLETED and response is not None and not response.truncated


def _phase(transport: httpx.AsyncBaseTransport) -> str:
    phase = getattr(transport, "phase", "wait")
    return phase if phase in _DOING else "wait"


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> Outcome:
    response = await transport.handle_async_request(request)
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        if response.status_code < 200:
            raise ExchangeError("protocol", f"the service responded {response.status_code:03}")
        headers = _kept_headers(tuple(response.headers.raw))
        body, is_truncated = await _read(response, stream)
    finally:
        await stream.aclose()
    return _outcome_of(response, Response(headers, body, is_truncated))


async def _read(response: httpx.Response, stream: httpx.AsyncByteStream) -> tuple[bytes, bool]:
    """Return the raw body, at most 64 KiB of it, and whether there is or may be more."""
    body = bytearray()
    chunks = aiter(stream)
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) >= RESPONSE_BODY_LIMIT:
                is_whole = len(body) == RESPONSE_BODY_LIMIT and _is_at_end(response)
                return bytes(body[:RESPONSE_BODY_LIMIT]), not is_whole
        return bytes(body), False
    finally:
        if isinstance(chunks, AsyncGenerator):  # otherwise the loop would need a task to close it later
            await chunks.aclose()


def _is_at_end(response: httpx.Response) -> bool:
    if getattr(response.stream, "is_at_end", False):
        return True
    length: str | None = response.headers.get("content-length")
    return length == str(RESPONSE_BODY_LIMIT)


@functools.lru_cache(maxsize=256)
def _kept_headers(raw: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[str, str], ...]:
    """Return the headers as text, without cookies; a service usually sends the same headers."""
    if sum(len(name) + len(value) + 4 for name, value in raw) > HEAD_LIMIT:
        raise ExchangeError("protocol", f"the headers of the response are larger than {HEAD_LIMIT // 1024} KiB")
    pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
    return tuple(pair for pair in pairs if pair[0] not in ("set-cookie", "set-cookie2"))


def _outcome_of(response: httpx.Response, kept: Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(OutcomeKind.COMPLETED, status, None, kept)
    message = f"the service responded {status}"
    if 300 <= status < 400 and (location := dict(kept.headers).get("location")) is not None:
        message += f" with Location: {safe(location)}; redirects aren't followed"
    return Outcome(OutcomeKind.HTTP_ERROR, status, AttemptError(f"http_{status}", message), kept)


def _timed_out(phase: str, timeout_ms: int) -> Outcome:
    is_with_handler = phase in ("wait", "read")
    rest = "; the handler may still be running" if is_with_handler else ""
    message = f"timed out after {duration(timeout_ms)} while {_DOING[phase]}{rest}"
    return Outcome(OutcomeKind.TIMEOUT, None, AttemptError("timeout", message))


def _failed(code: str, message: str) -> Outcome:
    return Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError(code, message))


def _failure_of(error: Exception, phase: str) -> Outcome:
    """Return the outcome for an exception of a transport."""
    if isinstance(error, ExchangeError):
        return _failed(error.code, str(error))
    reason = safe(str(error) or type(error).__name__)
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, reason)
    if phase == "read":
        return _failed("broken_response", f"the response was cut short: {reason}")
    if isinstance(error, httpx.NetworkError | OSError):
        return _failed("connection_reset", f"the connection was reset: {reason}")
    if "without sending a response" in reason:
        return _failed("closed_no_response", "the service closed the connection without a response")
    return _failed("protocol", f"the response isn't valid HTTP/1.1: {reason}")


def _not_connected(error: httpx.ConnectError, reason: str) -> Outcome:
    if https_transport.is_refused(error):
        return _failed("connect_refused", "connection refused: nothing is listening there. Is the service running?")
    if https_transport.is_plain(error):
        return _failed("connect_failed", "the service doesn't speak TLS: use http:// in the target")
    return _failed("connect_failed", f"can't connect: {reason}")
