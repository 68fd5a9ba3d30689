"""Every error that localqueue raises on purpose.

LocalqueueError
├── RequestError                 somebody asked for something that can't be done (4xx)
│   ├── InvalidJson              400 invalid_json
│   ├── InvalidRequest           400 invalid_request
│   ├── Refused                  403, one code for each rule of the security check
│   ├── NotFound                 404 unknown_namespace, unknown_queue, unknown_job, not_found
│   ├── MethodNotAllowed         405 method_not_allowed
│   ├── RequestTimeout           408 request_timeout
│   ├── WrongState               409 wrong_state
│   ├── AmbiguousId              409 ambiguous_id
│   ├── PayloadTooLarge          413 payload_too_large
│   ├── UriTooLong               414 uri_too_long
│   ├── UnsupportedMediaType     415 unsupported_media_type
│   └── HeadersTooLarge          431 headers_too_large
├── Unavailable                  the server can't do it now (503)
│   ├── ShuttingDown             503 shutting_down
│   ├── StorageUnavailable       503 storage_unavailable
│   └── TooManyStreams           503 too_many_streams
├── OutOfResources               a delivery lacks a descriptor or memory; never an attempt
├── StartError                   the server can't start (exit code 1)
│   ├── CatalogError             the catalog is wrong; carries every finding
│   ├── DatabaseInUse            another server holds the file
│   ├── DatabaseUnusable         the file can't be used as a database of ours
│   └── PortInUse                the port belongs to somebody else
├── CommandNotRun                `exec` can't run its COMMAND (exit code 126 or 127, as shells have it)
└── ClientError                  a command or a test could not do what it was told (exit code 1)
    ├── NoServer                 nothing answers there
    ├── ConnectionBroken         the connection broke while it was used
    ├── NotLocalqueue            something else answers there
    └── ErrorResponse            the server refused, with its code, message and hint
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localqueue.core.models import Finding


class LocalqueueError(Exception):
    """An error with a stable code, a message that says what is wrong, and a hint that says what to do."""

    code = "error"
    status = 500

    def __init__(self, message: str, hint: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class RequestError(LocalqueueError):
    """The error of a request that is wrong in itself."""

    code, status = "invalid_request", 400


class InvalidJson(RequestError):
    """The error of a body that isn't JSON."""

    code = "invalid_json"


class InvalidRequest(RequestError):
    """The error of a request with a wrong field or parameter."""


class UnclearFraming(RequestError):
    """The error of a request whose body has no clear end: nothing behind it on the connection is a request."""


class Refused(RequestError):
    """The error of a request that the security check refuses."""

    code, status = "refused", 403


class NotFound(RequestError):
    """The error of a request for something that doesn't exist."""

    code, status = "not_found", 404


class MethodNotAllowed(RequestError):
    """The error of a method that the route doesn't have."""

    code, status = "method_not_allowed", 405


class RequestTimeout(RequestError):
    """The error of a request whose body didn't arrive in time."""

    code, status = "request_timeout", 408


class WrongState(RequestError):
    """The error of an action that the state of the job doesn't allow."""

    code, status = "wrong_state", 409


class AmbiguousId(RequestError):
    """The error of a short ID that several jobs have; the message lists them."""

    code, status = "ambiguous_id", 409


class PayloadTooLarge(RequestError):
    """The error of a body over the limit."""

    code, status = "payload_too_large", 413


class UriTooLong(RequestError):
    """The error of a request target over the limit."""

    code, status = "uri_too_long", 414


class UnsupportedMediaType(RequestError):
    """The error of a body that isn't declared as JSON."""

    code, status = "unsupported_media_type", 415


class HeadersTooLarge(RequestError):
    """The error of headers over the limit."""

    code, status = "headers_too_large", 431


class Unavailable(LocalqueueError):
    """The error of a request that the server can't serve now."""

    code, status = "unavailable", 503


class ShuttingDown(Unavailable):
    """The error of new work while the server stops."""

    code = "shutting_down"


class StorageUnavailable(Unavailable):
    """The error of work that can't be written to disk or read from it."""

    code = "storage_unavailable"


class OutOfResources(Unavailable):
    """The error of a delivery for which this process lacks a descriptor or memory: no fault of the service."""

    code = "out_of_resources"


class TooManyStreams(Unavailable):
    """The error of one more client that follows the events."""

    code = "too_many_streams"


class StartError(LocalqueueError):
    """The reason why a server can't start; the process ends with exit code 1."""

    code = "start_failed"


class CatalogError(StartError):
    """The reason why a server can't start with a catalog, with every finding."""

    code = "invalid_catalog"

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class DatabaseInUse(StartError):
    """The reason why a server can't start: another one uses the database."""

    code = "database_in_use"


class DatabaseUnusable(StartError):
    """The reason why a server can't start: the file can't be used as a database."""

    code = "database_unusable"


class PortInUse(StartError):
    """The reason why a server can't start: the port is taken."""

    code = "port_in_use"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} is in use on {host}", "Use another one: --port PORT (--port 0 takes a free one)")
        self.host = host
        self.port = port


class CommandNotRun(LocalqueueError):
    """The reason why the COMMAND of `exec` can't be run."""

    code = "command_not_run"

    def __init__(self, message: str, hint: str = "", *, exit_code: int) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class ClientError(LocalqueueError):
    """The reason why a command or a test can't do what it was told."""

    code = "client_error"

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message  # a test's report shows only this


class NoServer(ClientError):
    """The error of a URL at which nothing answers."""

    code = "no_server"


class ConnectionBroken(ClientError):
    """The error of a connection that broke: the server has gone, or didn't respond in time."""

    code = "broken"


class NotLocalqueue(ClientError):
    """The error of a server that isn't localqueue: the URL may lead to a shared environment."""

    code = "not_localqueue"


class ErrorResponse(ClientError):
    """An error response of the server."""
