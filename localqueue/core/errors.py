"""Define every error that localqueue raises on purpose.

LocalqueueError
├── RequestError                 somebody asked for something that can't be done (4xx)
│   ├── InvalidJson              400 invalid_json
│   ├── InvalidRequest           400 invalid_request
│   ├── Refused                  403, one code for each rule of the security gate
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
├── StartError                   the server can't start (exit code 1)
│   ├── CatalogError             the catalog is wrong; carries every finding
│   ├── DatabaseInUse            another server holds the file
│   ├── DatabaseUnusable         the file can't be used as a database of ours
│   └── PortInUse                the port belongs to somebody else
├── CommandNotRun                `exec` can't run its COMMAND (exit code 126 or 127, as shells have it)
└── ClientError                  a command or a test could not do what it was told (exit code 1)
    ├── NoServer                 nothing answers there
    ├── Broken                   the connection broke while it was used
    ├── NotLocalqueue            something else answers there
    └── Answered                 the server refused; carries its code, message and hint
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localqueue.core.models import Finding


class LocalqueueError(Exception):
    """Carry a stable code, a message that says what is wrong, and a hint that says what to do."""

    code = "error"
    status = 500

    def __init__(self, message: str, hint: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class RequestError(LocalqueueError):
    """Refuse a request that is wrong in itself."""

    code, status = "invalid_request", 400


class InvalidJson(RequestError):
    """Refuse a body that is no JSON text."""

    code = "invalid_json"


class InvalidRequest(RequestError):
    """Refuse a request of which a field or a parameter is wrong."""


class Refused(RequestError):
    """Refuse a request at the security gate."""

    code, status = "refused", 403


class NotFound(RequestError):
    """Refuse a request for something that does not exist."""

    code, status = "not_found", 404


class MethodNotAllowed(RequestError):
    """Refuse a method that the route does not have."""

    code, status = "method_not_allowed", 405


class RequestTimeout(RequestError):
    """Refuse a request whose body did not arrive in time."""

    code, status = "request_timeout", 408


class WrongState(RequestError):
    """Refuse an action that the state of the job does not allow."""

    code, status = "wrong_state", 409


class AmbiguousId(RequestError):
    """Refuse a short id that several jobs have; the message lists them."""

    code, status = "ambiguous_id", 409


class PayloadTooLarge(RequestError):
    """Refuse a body over the limit."""

    code, status = "payload_too_large", 413


class UriTooLong(RequestError):
    """Refuse a request target over the limit."""

    code, status = "uri_too_long", 414


class UnsupportedMediaType(RequestError):
    """Refuse a body that is not declared as JSON."""

    code, status = "unsupported_media_type", 415


class HeadersTooLarge(RequestError):
    """Refuse a header block over the limit."""

    code, status = "headers_too_large", 431


class Unavailable(LocalqueueError):
    """Refuse a request that would be right at another time."""

    code, status = "unavailable", 503


class ShuttingDown(Unavailable):
    """Refuse new work while the server stops."""

    code = "shutting_down"


class StorageUnavailable(Unavailable):
    """Refuse work that can't be written to disk."""

    code = "storage_unavailable"


class TooManyStreams(Unavailable):
    """Refuse one more client that follows the events."""

    code = "too_many_streams"


class StartError(LocalqueueError):
    """Stop the start of the server; the process ends with exit code 1."""

    code = "start_failed"


class CatalogError(StartError):
    """Stop the start because of the catalog; carry every finding at once."""

    code = "invalid_catalog"

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class DatabaseInUse(StartError):
    """Stop the start because another server holds the database."""

    code = "database_in_use"


class DatabaseUnusable(StartError):
    """Stop the start because the file can't be used as a database."""

    code = "database_unusable"


class PortInUse(StartError):
    """Stop the start because the port is taken."""

    code = "port_in_use"


class CommandNotRun(LocalqueueError):
    """Say that the COMMAND of `exec` can't be run."""

    code = "command_not_run"

    def __init__(self, message: str, hint: str = "", *, exit_code: int) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class ClientError(LocalqueueError):
    """Stop a command or a test that can't do what it was told."""

    code = "client_error"

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message  # a test's report shows only this


class NoServer(ClientError):
    """Say that nothing answers where a server was expected."""

    code = "no_server"


class ConnectionBroken(ClientError):
    """Say that the connection broke: the server has gone, or gave no answer in time."""

    code = "broken"


class NotLocalqueue(ClientError):
    """Refuse to talk to a server that isn't localqueue: the URL may lead to a shared environment."""

    code = "not_localqueue"


class ErrorResponse(ClientError):
    """Carry an error response of the server."""
