"""Make one HTTP attempt and say how it ended; knows nothing of retries."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable

from localqueue import __version__
from localqueue.core import clock
from localqueue.core.errors import OutOfResources
from localqueue.core.models import RESPONSE_BODY_LIMIT, AttemptError, Outcome, OutcomeKind, Queue, Request, Response
from localqueue.core.text import safe
from localqueue.core.times import duration
from localqueue.delivery import url
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.http_transport import HttpTransport
from localqueue.delivery.transport import Headers, IncomingResponse, Transport
from localqueue.delivery.url import Url

USER_AGENT = f"localqueue/{__version__}"
_DOING = {
    "connect": "connecting",
    "send": "sending the request",
    "wait": "waiting for the response",
    "read": "reading the response",
}

Origin = tuple[str, str, int]


class Delivery:
    """The sender of requests; a transport is used for one request at a time.

    `transport` creates the transports instead, for simulations; each is used for one origin.
    """

    def __init__(self, transport: Callable[[], Transport] | None = None) -> None:
        self._make = transport
        self._idle: dict[Origin, list[Transport]] = {}
        self._is_closed = False

    def begin(self, queue: Queue) -> Callable[[Request], Awaitable[Outcome]]:
        """Return what sends an attempt of the queue."""
        return self.deliver

    async def deliver(self, request: Request) -> Outcome:
        """Return the outcome of an attempt. Raises only CancelledError, and OutOfResources if none was made.

        Source: platform reference (2xx completes, redirects are not followed). Our decision: one deadline
        for the whole attempt; a response is complete at its end, or once 64 KiB of its body were read.
        """
        try:
            to = url.parse(request.url)
            headers = _headers(to.authority, request.headers, len(request.body))
            transport = self._take(to.origin)
        except Exception as error:
            return _failed("connect_failed", f"can't send to {safe(request.url)}: {safe(str(error))}")
        is_kept = False
        try:
            async with request.deadline or clock.Deadline(request.timeout_ms / 1000):
                outcome = await _exchange(transport, to, headers, request.body)
            is_kept = _is_reusable(outcome)
        except OutOfResources:
            raise
        except TimeoutError:
            outcome = _timed_out(transport.phase, request.timeout_ms)
        except Exception as error:
            outcome = _failure_of(error, transport.phase)
        finally:
            await self._put_back(to.origin, transport, is_kept)
        return outcome

    async def aclose(self) -> None:
        """Close every connection; one in use is closed when its delivery ends."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                await _close(idle.pop())

    def _take(self, origin: Origin) -> Transport:
        """Return the transport that was used last, so that a few deliveries reuse a few connections."""
        idle = self._idle.setdefault(origin, [])
        if idle:
            return idle.pop()
        if self._make is not None:
            return self._make()
        return _https_transport() if origin[0] == "https" else HttpTransport()

    async def _put_back(self, origin: Origin, transport: Transport, is_kept: bool) -> None:
        if is_kept and not self._is_closed:
            self._idle[origin].append(transport)
        else:
            await _close(transport)


@functools.lru_cache(maxsize=1024)
def _headers(authority: str, headers: tuple[tuple[str, str], ...], size: int) -> Headers:
    """Return all headers of a request; most deliveries of a queue share them."""
    pairs = (("Host", authority), *headers, ("User-Agent", USER_AGENT), ("Content-Length", str(size)))
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in pairs]


def _https_transport() -> Transport:
    from localqueue.delivery.https_transport import HttpsTransport  # with httpx, which takes 0.1 s

    return HttpsTransport()


async def _close(transport: Transport) -> None:
    with contextlib.suppress(Exception):
        await transport.aclose()


def _is_reusable(outcome: Outcome) -> bool:
    """Return whether the connection can be used for another attempt.

    After a failure it can't: many servers, such as uvicorn, respond 500 when a handler raises and then close the
    connection without announcing it. The next attempt would fail.
    """
    response = outcome.response
    return outcome.kind is OutcomeKind.COMPLETED and response is not None and not response.truncated


async def _exchange(transport: Transport, url: Url, headers: Headers, body: bytes) -> Outcome:
    response = await transport.send(url, headers, body)
    try:
        if response.status < 200:
            raise ExchangeError("protocol", f"the service responded {response.status:03}")
        kept = Response(_kept_headers(tuple(response.headers)), *await _read(response))
    finally:
        await response.aclose()
    return _outcome_of(response.status, kept)


async def _read(response: IncomingResponse) -> tuple[bytes, bool]:
    """Return the raw body, at most 64 KiB of it, and whether there is or may be more."""
    body = bytearray()
    while chunk := await response.read():
        body += chunk
        if len(body) >= RESPONSE_BODY_LIMIT:
            is_whole = len(body) == RESPONSE_BODY_LIMIT and response.is_at_end
            return bytes(body[:RESPONSE_BODY_LIMIT]), not is_whole
    return bytes(body), False


@functools.lru_cache(maxsize=256)
def _kept_headers(raw: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[str, str], ...]:
    """Return the headers as text, without cookies; a service usually sends the same headers."""
    pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
    return tuple(pair for pair in pairs if pair[0] not in ("set-cookie", "set-cookie2"))


def _outcome_of(status: int, kept: Response) -> Outcome:
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
    if phase == "read":
        return _failed("broken_response", f"the response was cut short: {reason}")
    if isinstance(error, OSError):
        return _failed("connection_reset", f"the connection was reset: {reason}")
    return _failed("protocol", f"the exchange failed: {reason}")
