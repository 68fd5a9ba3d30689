"""Accept `POST /jobs` from a server that has the whole request: the app's own checks and endpoint, without ASGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.responses import Response
from starlette.types import Scope

from localqueue.api import responses
from localqueue.api.routes.production import EnqueueEndpoint
from localqueue.api.security import SECURITY_HEADERS
from localqueue.core.errors import LocalqueueError, RequestError


class DirectEnqueue:
    """The checks and the endpoint of `POST /jobs`; `internal_error` turns an unknown exception into a response."""

    def __init__(
        self,
        check: Callable[[Scope], None],
        endpoint: EnqueueEndpoint,
        internal_error: Callable[[Exception], Response],
    ) -> None:
        self._check = check
        self._endpoint = endpoint
        self._internal_error = internal_error

    def admits(self, scope: Scope, length: int) -> bool:
        """Return whether the checks pass. What they refuse must go through the app, which says why."""
        try:
            self._check(scope)
        except RequestError:
            return False
        return length <= self._endpoint.max_body

    async def respond(self, body: bytes) -> tuple[int, bytes]:
        """Accept a job; return the status, and the response from its headers on."""
        try:
            content = await self._endpoint.accept(body)
        except LocalqueueError as error:
            return _rest(responses.error_response(error))
        except Exception as error:
            return _rest(self._internal_error(error))
        return 201, b"content-length: %d\r\n%b%b" % (len(content), _ACCEPTED, content)


def _rest(response: Response) -> tuple[int, bytes]:
    return response.status_code, _encoded([*response.raw_headers, *SECURITY_HEADERS]) + b"\r\n" + response.body


def _encoded(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


_ACCEPTED = _encoded([(b"content-type", b"application/json"), *SECURITY_HEADERS]) + b"\r\n"
