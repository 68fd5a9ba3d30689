"""Open a TCP connection to any address of a name, and explain why none accepts it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any

from localqueue.core.addresses import LOOPBACK, OTHER_LOOPBACK, is_localhost, parse_address, split_url
from localqueue.core.errors import OutOfResources
from localqueue.core.text import safe
from localqueue.delivery import name_lookup
from localqueue.delivery.errors import ExchangeError

NEXT_ADDRESS_S = 2.0
"""How long to wait for one address, in seconds, while there is another one to try."""

HINTS = {
    errno.EMFILE: "Raise the limit of open files, or close some: ulimit -n 4096",
    errno.EADDRNOTAVAIL: "No local port is free. To list the connections: ss --tcp",
}
_OWN_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Address = tuple[int, tuple[Any, ...]]


async def connect(host: str, port: int) -> socket.socket:
    """Return a connected, non-blocking socket. Raises ExchangeError, OutOfResources.

    `localhost` and names below it mean both loopback addresses, whatever the hosts file says.
    """
    addresses = await _addresses(host, port)
    errors: list[OSError] = []
    for number, address in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(NEXT_ADDRESS_S if number < len(addresses) else None):
                return await _open(*address)
        except OSError as error:  # including TimeoutError
            errors.append(error)
    raise await _connect_error(host, port, errors)


async def listens(url: str, timeout_s: float = NEXT_ADDRESS_S) -> bool:
    """Return whether something accepts connections at a URL."""
    _, host, port = split_url(url)
    with contextlib.suppress(ExchangeError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            (await connect(host, port)).close()
            return True
    return False


async def _addresses(host: str, port: int) -> list[Address]:
    hosts = LOOPBACK if is_localhost(host) else (host,)
    addresses: list[Address] = []
    for name in hosts:
        if parse_address(name) is not None:  # it needs no lookup
            addresses.append((socket.AF_INET6 if ":" in name else socket.AF_INET, (name, port)))
        else:
            addresses += await _resolve(name, port)
    return addresses


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        infos = await name_lookup.look_up(host, port)
    except (OSError, UnicodeError) as error:
        message = f"can't resolve {safe(host)}: {_reason(error)}"
        raise ExchangeError("connect_failed", message) from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in infos))


async def _open(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Return a connected socket. Raises OSError, OutOfResources."""
    opened = None
    try:
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setblocking(False)
        await _connected(opened, address)
        if opened.getsockname() == opened.getpeername():  # TCP may connect an unused port to itself
            raise ConnectionRefusedError("the connection led back to localqueue")
    except BaseException as error:
        if opened is not None:
            opened.close()
        if lacking := own_fault(error, family):
            raise lacking from None
        raise
    return opened


def own_fault(error: BaseException, family: int | None = None) -> OutOfResources | None:
    """Return what this process or machine lacks, or None if the fault isn't its own."""
    code = error.errno if isinstance(error, OSError) else None
    if code in _OWN_FAULTS or (code == errno.EADDRNOTAVAIL and family == socket.AF_INET):  # ::1 may be missing
        reason = f"can't connect to services: {os.strerror(code)}"
        return OutOfResources(reason, HINTS.get(code, HINTS[errno.EMFILE]))
    return None


async def _connected(opened: socket.socket, address: tuple[Any, ...]) -> None:
    """Connect. uvloop's `sock_connect` would look even an IP address up on one of a few threads."""
    with contextlib.suppress(BlockingIOError):
        opened.connect(address)
        return
    loop = asyncio.get_running_loop()
    is_done = asyncio.Event()
    loop.add_writer(opened, is_done.set)
    try:
        await is_done.wait()
    finally:
        loop.remove_writer(opened)
    if number := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))


async def _connect_error(host: str, port: int, errors: list[OSError]) -> ExchangeError:
    place = f"[{host}]:{port}" if ":" in host else f"{safe(host)}:{port}"
    if not any(isinstance(error, ConnectionRefusedError) for error in errors):
        reason = _reason(errors[0]) if errors else "the name has no address"
        return ExchangeError("connect_failed", f"can't connect to {place}: {reason}")
    other = OTHER_LOOPBACK.get(host)
    if other is not None and await _listens(other, port):
        return ExchangeError(
            "connect_refused",
            f"connection refused: nothing is listening on {place}, but on {other}. Use localhost in the target",
        )
    return ExchangeError(
        "connect_refused", f"connection refused: nothing is listening on {place}. Is the service running?"
    )


async def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        for address in await _addresses(host, port):
            (await _open(*address)).close()
            return True
    return False


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.strerror:
        return "no response"
    return safe(getattr(error, "strerror", None) or str(error) or type(error).__name__)
