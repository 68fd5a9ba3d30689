"""Handle what uvicorn doesn't: upgrades, half-closed clients, lost connections of a pipeline, absolute targets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # no wheel of httptools for this platform
        from uvicorn.protocols.http.h11_impl import H11Protocol as HttpToolsProtocol

_UPGRADE = re.compile(rb"\r\nUpgrade:", re.IGNORECASE)
_ABSOLUTE = re.compile(rb"[a-z]+://([^/?#]*)", re.IGNORECASE)


class PatientProtocol(HttpToolsProtocol):
    """A protocol that loses no job: uvicorn's own, with httptools or h11."""

    _handled: Any = None
    """The request that is being handled; `cycle` is the latest one of a pipeline."""

    def data_received(self, data: bytes) -> None:
        """Rename the header `Upgrade`, which Java's client sends, and which a server may ignore (RFC 9110, 7.8).

        After a request with an upgrade, httptools parses no body.
        """
        if b"pgrade:" in data or b"PGRADE:" in data:
            data = _UPGRADE.sub(b"\r\nX-Upgrd:", data)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond to a client that closed only its side after `POST /jobs`; elsewhere the end means that it left."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.scope["path"] != "/jobs":
            return False
        cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being handled; uvicorn tells only the latest one."""
        if self._handled is not None and not self._handled.response_complete:
            self._handled.disconnected = True
            self._handled.message_event.set()
        super().connection_lost(exc)

    # called only with httptools; h11 finds no route for an absolute target, and has no pipelines

    def on_headers_complete(self) -> None:
        """Take the host of an absolute target (`POST http://HOST/jobs`) for the Host header (RFC 9112, 3.2.2)."""
        if absolute := _ABSOLUTE.match(self.url):
            self.headers[:] = [(name, value) for name, value in self.headers if name != b"host"]
            self.headers.append((b"host", absolute[1]))
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._handled = cycle
        super()._start_asgi_task(cycle, app)
