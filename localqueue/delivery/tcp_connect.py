"""Open a TCP connection, whichever of a name's addresses answers, and say well why none does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any
from urllib.parse import urlsplit

from localqueue.core.text import safe
from localqueue.delivery.errors import ExchangeError

LOOPBACK = ("127.0.0.1", "::1")
OTHER_LOOPBACK = {"127.0.0.1": "::1", "::1": "127.0.0.1"}
NEXT_ADDRESS_S = 2.0
"""How long one address may keep silent while there is another to try."""

DEFAULT_PORTS = {"http": 80, "https": 443}

Address = tuple[int, tuple[Any, ...]]


async def connect(host: str, port: int) -> socket.socket:
    """Return a connected, non-blocking socket. Raises ExchangeError.

    `localhost` means both loopback addresses, whatever the hosts file says.
    """
    addresses = await _addresses(host, port)
    errors: list[OSError] = []
    for number, address in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(NEXT_ADDRESS_S if number < len(addresses) else None):
                return await _open(*address)
        except OSError as error:  # a TimeoutError is one, too
            errors.append(error)
    raise await _explained(host, port, errors)


async def listens(url: str, timeout_s: float = NEXT_ADDRESS_S) -> bool:
    """Return whether something accepts connections where a URL leads."""
    parts = urlsplit(url)
    with contextlib.suppress(ExchangeError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            (await connect(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])).close()
            return True
    return False


async def _addresses(host: str, port: int) -> list[Address]:
    hosts = LOOPBACK if host.lower() == "localhost" else (host,)
    found: list[Address] = []
    for each in hosts:
        if each in LOOPBACK:
            found.append((socket.AF_INET6 if ":" in each else socket.AF_INET, (each, port)))
        else:
            found += await _resolve(each, port)
    return found


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"can't find the address of {safe(host)}: {_reason(error)}"
        raise ExchangeError("connect_failed", message) from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


async def _open(family: int, address: tuple[Any, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, address)
        if opened.getsockname() == opened.getpeername():  # TCP may connect an unused port to itself
            raise ConnectionRefusedError("nobody but ourselves is there")
    except BaseException:
        opened.close()
        raise
    return opened


async def _explained(host: str, port: int, errors: list[OSError]) -> ExchangeError:
    place = f"[{host}]:{port}" if ":" in host else f"{safe(host)}:{port}"
    if not any(isinstance(error, ConnectionRefusedError) for error in errors):
        reason = _reason(errors[0]) if errors else "it has no address"
        return ExchangeError("connect_failed", f"can't connect to {place}: {reason}")
    other = OTHER_LOOPBACK.get(host)
    if other is not None and await _listens(other, port):
        return ExchangeError(
            "connect_refused",
            f"nothing listens on {place}, but something does on {other}: use localhost in the target",
        )
    return ExchangeError("connect_refused", f"nothing listens on {place}; is the service running?")


async def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        for address in await _addresses(host, port):
            (await _open(*address)).close()
            return True
    return False


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.strerror:
        return "it does not answer"
    return safe(getattr(error, "strerror", None) or str(error) or type(error).__name__)
