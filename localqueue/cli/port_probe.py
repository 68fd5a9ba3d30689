"""Find out which addresses of a URL accept connections."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from localqueue.core.addresses import is_localhost, split_url

TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """The addresses of a URL that accept connections and those that don't, or why there are none."""

    listening: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        if self.listening:
            return f"is listening on {' and '.join(self.listening)}"
        return self.problem or "nothing is listening there"


def probe(url: str) -> Probe:
    """Return which addresses accept a connection; it is closed at once."""
    try:
        _, host, port = split_url(url)
        infos = socket.getaddrinfo("localhost" if is_localhost(host) else host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return Probe(problem=f"can't be resolved: {error}")
    addresses = {str(address[0]): (family, address) for family, _, _, _, address in infos}
    listening = tuple(name for name, (family, address) in addresses.items() if accepts(family, address))
    return Probe(listening, tuple(name for name in addresses if name not in listening))


def accepts(family: int, address: tuple[object, ...]) -> bool:
    """Return whether a connection to the address is accepted."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(TIMEOUT_S)
            attempt.connect(address)
    except OSError:
        return False
    return True
