"""Tell which hosts are loopback and which are this machine, by parsing, never by prefix."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1")
OTHER_LOOPBACK = {"127.0.0.1": "::1", "::1": "127.0.0.1"}
DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_ADDRESS = 64
"""How many characters an IP address has at most, with brackets and a zone; longer texts aren't kept in memory."""


def is_localhost(host: str) -> bool:
    """Return whether a name is `localhost` or below it (RFC 6761)."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address or `localhost`; brackets around IPv6 are accepted."""
    address = parse_address(host)
    return is_localhost(host) if address is None else address.is_loopback


def is_unspecified(host: str) -> bool:
    """Return whether a host is 0.0.0.0 or ::, which reaches this machine."""
    address = parse_address(host)
    return address is not None and address.is_unspecified


def is_this_machine(host: str) -> bool:
    """Return whether a host always reaches this machine."""
    return is_loopback(host) or is_unspecified(host)


def parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address, or None for a name."""
    return _parsed(host) if len(host) <= LONGEST_ADDRESS else None


@functools.lru_cache(maxsize=256)
def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def split_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an http URL. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
