"""What a transport does: send one request to a URL, and give the response while it arrives."""

from __future__ import annotations

from typing import Protocol

from localqueue.delivery.url import Url

Headers = list[tuple[bytes, bytes]]


class IncomingResponse(Protocol):
    """A response whose headers have arrived."""

    status: int
    headers: Headers

    @property
    def is_at_end(self) -> bool:
        """Return whether the whole body has been read, as far as is known without waiting."""

    async def read(self) -> bytes:
        """Return more of the raw body, b"" at its end. Raises what `Transport.send` raises."""

    async def aclose(self) -> None:
        """End the exchange; the rest of the body isn't read."""


class Transport(Protocol):
    """A sender of requests to one origin, one at a time."""

    @property
    def phase(self) -> str:
        """Return the phase of the exchange: connect, send, wait (for the headers) or read (the body)."""

    async def send(self, url: Url, headers: Headers, body: bytes) -> IncomingResponse:
        """Send a POST request and return its response. Raises ExchangeError, TimeoutError or OSError."""

    async def aclose(self) -> None:
        """Close the connection."""
