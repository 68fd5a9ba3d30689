"""Serve requests that ask for an upgrade, such as those of Java's client, which offers HTTP/2 with each request."""

from __future__ import annotations

import asyncio
import re

_UPGRADE = re.compile(rb"\r\nUpgrade:", re.IGNORECASE)


def protocol_class() -> type[asyncio.Protocol] | str:
    """Return uvicorn's protocol for httptools without upgrades, or the name of its protocol for h11.

    After a request with an upgrade, httptools parses no body, so the job would be lost.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class UpgradeIgnoringProtocol(HttpToolsProtocol):
        """A protocol that renames the header `Upgrade`: a server may ignore it (RFC 9110, 7.8)."""

        def data_received(self, data: bytes) -> None:
            if b"pgrade:" in data or b"PGRADE:" in data:
                data = _UPGRADE.sub(b"\r\nX-Upgrd:", data)
            super().data_received(data)

    return UpgradeIgnoringProtocol
