"""Look whether something listens at a URL, and on which of its addresses."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Hold the addresses that accept a connection, those that do not, and why there is neither."""

    listening: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        if self.listening:
            return f"listens on {' and '.join(self.listening)}"
        return self.problem or "nothing listens there"


def probe(url: str) -> Probe:
    """Return who accepts a connection; it is closed at once."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return Probe(problem=f"can't be resolved: {error}")
    addresses = {str(address[0]): (family, address) for family, _, _, _, address in found}
    listening = tuple(name for name, (family, address) in addresses.items() if accepts(family, address))
    return Probe(listening, tuple(name for name in addresses if name not in listening))


def accepts(family: int, address: tuple[object, ...]) -> bool:
    """Return whether a connection to the address is accepted."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(PATIENCE_S)
            attempt.connect(address)
    except OSError:
        return False
    return True
