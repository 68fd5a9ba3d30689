"""Send the client's requests over HTTP, to a server that is checked to be localqueue before the first one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from localqueue.client.client import RESPONSE_LIMIT, Parameters
from localqueue.core.errors import ClientError, ConnectionBroken, NoServer, NotLocalqueue
from localqueue.core.text import safe

SILENCE_S = 60.0
"""How long a stream of events may be silent; the server sends something every 15 s."""
_JSON = {"Content-Type": "application/json"}


class HttpConnection:
    """A connection to the server at a URL; `source` says where the URL comes from, for messages."""

    def __init__(
        self, url: str, timeout_s: float, source: str = "", on_found: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.url = url
        self._source = source
        self._timeout_s = timeout_s
        self._on_found = on_found
        self._is_checked = False
        try:
            # Without TLS nothing is verified, and loading the certificates would take 20 ms.
            self._http = httpx.Client(base_url=url, trust_env=False, timeout=timeout_s, verify=url.startswith("https:"))
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise ClientError(f"{safe(url)!r} isn't a URL: {error}") from None
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise ClientError(f"{safe(url)!r} isn't the URL of a server; use one like http://localhost:4327")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def check(self) -> dict[str, Any]:
        """Return the server's status. Raises ClientError: NoServer, NotLocalqueue, ConnectionBroken."""
        try:
            status = json.loads(self._send("GET", "/_localqueue/status", None, {}, 0)[1])
        except (ValueError, RecursionError):
            status = None
        if not isinstance(status, dict) or status.get("name") != "localqueue":
            raise NotLocalqueue(f"the server at {safe(self.url)} isn't localqueue", self._hint())
        if self._on_found is not None and not self._is_checked:
            self._on_found(status)
        self._is_checked = True
        return status

    def send(
        self, method: str, path: str, content: bytes | None, parameters: Parameters, work_s: float | None
    ) -> tuple[int, bytes]:
        """Return the status and the body of the response. Raises ClientError."""
        if not self._is_checked:
            self.check()
        return self._send(method, path, content, parameters, work_s)

    @contextlib.contextmanager
    def stream(
        self, path: str, parameters: Parameters, headers: Mapping[str, str]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Return the status and the chunks of a response that has no end. Raises ClientError."""
        if not self._is_checked:
            self.check()
        timeout = httpx.Timeout(self._timeout_s, read=SILENCE_S)
        with (
            self._translating_errors(),
            self._http.stream("GET", path, params=parameters, headers=headers, timeout=timeout) as response,
        ):
            yield response.status_code, response.iter_bytes()

    def _send(
        self, method: str, path: str, content: bytes | None, parameters: Parameters, work_s: float | None
    ) -> tuple[int, bytes]:
        read_s = None if work_s is None else self._timeout_s + work_s
        timeout = httpx.Timeout(self._timeout_s, read=read_s)
        with (
            self._translating_errors(),
            self._http.stream(
                method, path, content=content, headers=_JSON, params=parameters, timeout=timeout
            ) as response,
        ):
            return response.status_code, _read(response)

    def _hint(self) -> str:
        if self._source == "IEC_QUEUE_URL":
            return "IEC_QUEUE_URL may point to a shared environment. Use your own server: --url URL"
        if self._source.endswith("server.json"):
            return f"{self._source} is left over from a killed server. Start a new one: localqueue up --port 0"
        return "Another program uses this port. Start localqueue on a free one: localqueue up --port 0"

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise NoServer(f"no server is running at {safe(self.url)}", "Start one: localqueue up") from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ConnectionBroken(f"the connection to {safe(self.url)} broke: {reason}") from None


def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > RESPONSE_LIMIT:
            raise ClientError(f"the response is larger than {RESPONSE_LIMIT // 1024 // 1024} MiB")
    return bytes(body)
