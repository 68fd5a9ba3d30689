"""Serve requests that uvicorn would lose: those that ask for an upgrade, and those of half-closed clients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # no wheel of httptools for this platform
        from uvicorn.protocols.http.h11_impl import H11Protocol as HttpToolsProtocol

_UPGRADE = re.compile(rb"\r\nUpgrade:", re.IGNORECASE)


class PatientProtocol(HttpToolsProtocol):
    """A protocol that loses no job: uvicorn's own, with httptools or h11."""

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
