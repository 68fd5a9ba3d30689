"""Bind the sockets to listen on, and allow many connections."""

from __future__ import annotations

import errno
import resource
import socket

from localqueue.core.addresses import LOOPBACK
from localqueue.core.errors import PortInUse, StartError

BACKLOG = 4096


def bind(host: str | None, port: int) -> list[socket.socket]:
    """Listen on one address, or on both loopback addresses at the same port.

    Raises PortInUse, or StartError if an address can't be used. Port 0 takes a free one.
    """
    if host is not None:
        return [_listen(*_resolve(host, port))]
    first = _listen(socket.AF_INET, (LOOPBACK[0], port))
    port = int(first.getsockname()[1])
    try:
        return [first, _listen(socket.AF_INET6, (LOOPBACK[1], port))]
    except StartError as error:
        if isinstance(error, PortInUse):
            first.close()
            raise
        return [first]  # this machine has no IPv6


def raise_file_limit() -> None:
    """Raise the limit of open files as far as allowed: thousands of clients may connect at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # some systems refuse their own maximum
            return


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(
            f"can't listen on {host}: {error.strerror}", "Use an address of this machine: --host ADDR"
        ) from error
    family, _, _, _, address = addresses[0]
    return family, (str(address[0]), port)


def _listen(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    try:
        # Name the protocol, or asyncio leaves Nagle's algorithm on: 40 ms per response.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise StartError(f"can't listen on {address[0]}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # now: two sockets that are only bound don't exclude each other
    except OSError as error:
        listener.close()
        raise _explained(error, address) from error
    listener.setblocking(False)
    return listener


def _explained(error: OSError, address: tuple[str, int]) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(*address)
    return StartError(f"can't listen on {address[0]}:{address[1]}: {error.strerror}")
