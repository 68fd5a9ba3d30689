"""Accept only requests from programs on this machine, in one middleware for every request.

A page in the developer's browser must not reach the queue, neither with a form nor by DNS rebinding.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localqueue.api import responses
from localqueue.core.addresses import is_loopback, parse_address
from localqueue.core.errors import (
    HeadersTooLarge,
    InvalidRequest,
    Refused,
    RequestError,
    UnclearFraming,
    UnsupportedMediaType,
    UriTooLong,
)
from localqueue.engine.rejections import Rejections

HEADERS_LIMIT = 16 * 1024
URI_LIMIT = 8 * 1024
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
PRODUCTION_PATHS = frozenset({"/jobs", "/health"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;\s*charset\s*=\s*\"?utf-?8\"?\s*)?;?\s*")

SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class SecurityMiddleware:
    """The checks that every request passes, and the security headers of every response."""

    def __init__(
        self, app: ASGIApp, rejections: Rejections, allow_hosts: Collection[str] = (), allow_remote: bool = False
    ) -> None:
        self._app = app
        self._rejections = rejections
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in allow_hosts}
        self._allow_remote = allow_remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with an error."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_security_headers(send)
        try:
            self.check(scope)
        except RequestError as error:
            if isinstance(error, Refused) or (scope["method"] == "POST" and scope["path"] == "/jobs"):
                self._rejections.add(error, None, None, is_security=isinstance(error, Refused))
            await responses.error_response(error)(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def check(self, scope: Scope) -> None:
        """Check where a request comes from, and its headers. Raises RequestError."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        _check_sizes(scope, headers)
        host = _check_host(headers, self._hosts, scope.get("server"))
        if not self._allow_remote:
            _check_peer(scope)
        _check_framing(headers)
        _check_origin(headers, host)
        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            _check_content_type(headers)


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in headers if key == name]


def _check_sizes(scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
    if sum(len(name) + len(value) + 4 for name, value in headers) > HEADERS_LIMIT:
        raise HeadersTooLarge(f"the headers are larger than {HEADERS_LIMIT} bytes")
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URI_LIMIT:
        raise UriTooLong(f"the request target is larger than {URI_LIMIT} bytes")


def _check_host(
    headers: list[tuple[bytes, bytes]], allowed: Collection[str], server: tuple[str, int | None] | None
) -> str:
    hosts = _values(headers, b"host")
    if len(hosts) != 1:
        raise InvalidRequest(f"the request must have one Host header, not {len(hosts)}")
    match = _HOST.fullmatch(hosts[0].lower())
    if match is None or not (match[1] in allowed or _is_own_address(match[1], server)):
        raise Refused(
            "the Host header doesn't name this machine",
            "Use http://localhost, or allow the name: localqueue up --allow-host NAME (such as host.docker.internal)",
            code="host_not_allowed",
        )
    return hosts[0].lower()


def _is_own_address(host: str, server: tuple[str, int | None] | None) -> bool:
    """Return whether a host is the address at which the request arrived: a rebound name never is."""
    address = parse_address(host)
    return address is not None and server is not None and address == parse_address(server[0])


def _check_peer(scope: Scope) -> None:
    client = scope.get("client")
    if scope["path"] not in PRODUCTION_PATHS and not (client and is_loopback(client[0])):
        raise Refused(
            "only programs on this machine can use /_localqueue",
            "To open it to other machines: localqueue up --allow-remote",
            code="loopback_only",
        )


def _check_framing(headers: list[tuple[bytes, bytes]]) -> None:
    if _values(headers, b"transfer-encoding") and _values(headers, b"content-length"):
        raise UnclearFraming("the request has both Content-Length and Transfer-Encoding")


def _check_origin(headers: list[tuple[bytes, bytes]], host: str) -> None:
    for site in _values(headers, b"sec-fetch-site"):
        if site.lower() not in ("same-origin", "none"):
            raise _foreign()
    for origin in _values(headers, b"origin"):
        if origin.lower() != f"http://{host}":
            raise _foreign()


def _foreign() -> Refused:
    return Refused(
        "a page of another origin can't use localqueue",
        "Call the queue from your service, not from a browser.",
        code="origin_not_allowed",
    )


def _check_content_type(headers: list[tuple[bytes, bytes]]) -> None:
    types = _values(headers, b"content-type")
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0].lower()):
        raise UnsupportedMediaType(
            "the request needs the header Content-Type: application/json",
            "With curl: -H 'Content-Type: application/json' -d '{...}'",
        )


def _with_security_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *SECURITY_HEADERS]}
        await send(message)

    return guarded
