"""Open the client of a server at a URL; httpx, which takes 0.1 s to import, is loaded with the first one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localqueue.client.client import Client

TIMEOUT_S = 10.0


def connect(
    url: str,
    source: str = "",
    timeout_s: float = TIMEOUT_S,
    on_found: Callable[[dict[str, Any]], None] | None = None,
) -> Client:
    """Return a client; `source` says where the URL comes from, for messages. Raises ClientError.

    `on_found` gets the status of the server when it is first found to be localqueue.
    """
    from localqueue.client.http_connection import HttpConnection

    return Client(HttpConnection(url, timeout_s, source, on_found))
