"""Split the URL of a delivery into what a transport needs."""

from __future__ import annotations

import functools
import re

from localqueue.core.records import record

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(
    r"http://(?P<host>127\.0\.0\.1|[a-z][a-z0-9.-]*):(?P<port>[1-9]\d{0,4})(?P<target>(?:/[a-z0-9_~-][a-z0-9._~-]*)+)",
    re.ASCII | re.IGNORECASE,
)


@record
class Url:
    """An http or https URL.

    `authority` is the value of the Host header, `target` the path and query of the request line.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: bytes

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return the scheme, host and port."""
        return self.scheme, self.host, self.port


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Url:
    """Return the parts of a URL. Raises ValueError if it isn't http or https, or names no host.

    A URL that needs no normalization is split here: importing httpx takes longer than a hundred deliveries.
    """
    match = _PLAIN.fullmatch(text)
    if match is None or (port := int(match["port"])) == _DEFAULT_PORTS["http"] or port > 65_535:
        return _normalized(text)
    host = match["host"].lower()
    return Url("http", host, port, f"{host}:{port}", match["target"].encode("ascii"))


def _normalized(text: str) -> Url:
    import httpx

    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    if url.scheme not in _DEFAULT_PORTS or not url.host:
        raise ValueError("the URL must start with http:// or https:// and name a host")
    host, authority = url.raw_host.decode("ascii"), url.netloc.decode("ascii")
    return Url(url.scheme, host, url.port or _DEFAULT_PORTS[url.scheme], authority, url.raw_path)
