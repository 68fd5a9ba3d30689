"""Talk to a running server, for the command line and the test fixture: production's API and /_localqueue."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from localqueue.core.errors import ClientError, ConnectionBroken, ErrorResponse, NoServer, NotLocalqueue
from localqueue.core.text import safe

ANSWER_LIMIT = 256 * 1024 * 1024
PATIENCE_S = 10.0
SILENCE_S = 60.0
"""How long a stream of events may be silent; the server says something every 15 s."""
PAGE = 200
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """Hold an event of the server: its id, what it tells of, and JSON text."""

    id: str
    kind: str
    data: str


class Client:
    """Call a server. Raises ClientError: NoServer, NotLocalqueue, or Answered with the server's own words."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.url = url
        self._timeout = httpx.Timeout(patience_s)
        self._is_checked = False
        try:
            # Without TLS nothing is verified; loading the certificates would take 20 ms.
            self._http = httpx.Client(
                base_url=url, trust_env=False, timeout=self._timeout, verify=url.startswith("https:")
            )
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise ClientError(f"expected the URL of a localqueue, got {safe(url)!r}: {error}") from None
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise ClientError(f"expected the URL of a localqueue, like http://localhost:4327, got {safe(url)!r}")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # calls

    def enqueue(self, namespace: str, queue: str, data: str) -> str:
        """Enqueue a job with `data`, which is JSON text; return its id."""
        names = f'"namespace":{json.dumps(namespace)},"queue":{json.dumps(queue)}'
        return str(self._json("POST", "/jobs", f'{{{names},"data":{data}}}')["id"])

    def get(self, path: str, **parameters: str | int | None) -> Any:
        """Return what a route under /_localqueue answers."""
        return _parsed(self.text(path, **parameters))

    def text(self, path: str, **parameters: str | int | None) -> str:
        """Return what a route under /_localqueue answers, as the text that it is."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._call("GET", f"/_localqueue{path}", parameters=given).decode("utf-8", "replace")

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, patience_s: float | None = PATIENCE_S) -> Any:
        """Post to a route under /_localqueue; with a patience of None it may take for ever."""
        timeout = httpx.Timeout(PATIENCE_S, read=patience_s)
        return self._json("POST", f"/_localqueue{path}", json.dumps(body or {}), timeout)

    def replay(self, id_: str, data: str | None) -> Any:
        """Enqueue a new job like another, with other `data`, which is JSON text, or with the same (None)."""
        body = "{}" if data is None else f'{{"data":{data}}}'
        return self._json("POST", f"/_localqueue{path_of('jobs', id_, 'replay')}", body)

    def change_queue(self, namespace: str, queue: str, settings: Mapping[str, int]) -> Any:
        """Change settings of a queue until the next reset."""
        return self._json("PATCH", f"/_localqueue{path_of('queues', namespace, queue)}", json.dumps(settings))

    def change_target(self, namespace: str, url: str) -> Any:
        """Change where a service listens until the next reset."""
        return self._json("PUT", f"/_localqueue{path_of('targets', namespace)}", json.dumps({"url": url}))

    def jobs(self, limit: int | None = None, **chosen: str | None) -> Iterator[dict[str, Any]]:
        """Yield the jobs that fit, newest first; `limit` None means all."""
        for page in self.pages(limit, **chosen):
            yield from page["jobs"]

    def pages(self, limit: int | None = None, **chosen: str | None) -> Iterator[dict[str, Any]]:
        """Yield the pages that `jobs` goes through."""
        after: str | None = None
        while True:
            page = self.get("/jobs", **chosen, limit=PAGE if limit is None else min(limit, PAGE), after=after)
            yield page
            limit = None if limit is None else limit - len(page["jobs"])
            after = page["next"]
            if after is None or (limit is not None and limit <= 0):
                return

    def events(self, last_id: str | None = None, **chosen: str | None) -> Iterator[ServerEvent]:
        """Yield what happens until the server stops: from now on, or what has happened since `last_id` first."""
        self.check()
        headers = {"Accept": "text/event-stream", **({} if last_id is None else {"Last-Event-ID": last_id})}
        given = {name: value for name, value in chosen.items() if value is not None}
        timeout = httpx.Timeout(PATIENCE_S, read=SILENCE_S)
        with (
            self._explaining(),
            self._http.stream("GET", "/_localqueue/events", params=given, headers=headers, timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                raise _answered(answer.status_code, _read(answer))
            yield from _told(answer.iter_bytes())

    def drain(self, timeout_ms: int, settle_ms: int) -> Any:
        """Drain; the answer comes after `timeout_ms` at the latest."""
        patience_s = timeout_ms / 1000 + PATIENCE_S
        return self.post("/drain", {"timeoutMs": timeout_ms, "settleMs": settle_ms}, patience_s=patience_s)

    # parts

    def check(self) -> dict[str, Any]:
        """Return the server's status, having made sure that it is a localqueue. Raises NoServer, NotLocalqueue."""
        try:
            found = json.loads(self._send("GET", "/_localqueue/status")[1])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("name") != "localqueue":
            raise NotLocalqueue(
                f"what answers at {safe(self.url)} is no localqueue",
                "IEC_QUEUE_URL may lead to a shared environment; name your own with --url.",
            )
        self._is_checked = True
        return found

    def _json(self, method: str, path: str, content: str | None = None, timeout: httpx.Timeout | None = None) -> Any:
        return _parsed(self._call(method, path, content, timeout=timeout))

    def _call(
        self,
        method: str,
        path: str,
        content: str | None = None,
        *,
        parameters: Mapping[str, str | int] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> bytes:
        if not self._is_checked:
            self.check()
        status, body = self._send(method, path, content, parameters, timeout)
        if 200 <= status < 300:
            return body
        raise _answered(status, body)

    def _send(
        self,
        method: str,
        path: str,
        content: str | None = None,
        parameters: Mapping[str, str | int] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> tuple[int, bytes]:
        encoded = None if content is None else content.encode("utf-8", "surrogatepass")
        with (
            self._explaining(),
            self._http.stream(
                method, path, content=encoded, headers=_JSON, params=parameters, timeout=timeout or self._timeout
            ) as answer,
        ):
            return answer.status_code, _read(answer)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise NoServer(f"no localqueue answers at {safe(self.url)}", "Start one with: localqueue up") from None
        except httpx.HTTPError as error:
            raise ConnectionBroken(
                f"the connection to {safe(self.url)} broke: {error or type(error).__name__}"
            ) from None


def path_of(*parts: str) -> str:
    """Return a path of these parts, whatever is in them."""
    return "".join("/" + quote(part, safe="") for part in parts)


def _parsed(answer: str | bytes) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"the server's answer is no JSON: {safe(str(error))}") from None


def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise ClientError(f"the answer is longer than {ANSWER_LIMIT // 1024 // 1024} MiB")
    return bytes(body)


def _told(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the events of a stream; what is no field of an event is none of our business."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield ServerEvent(fields.get("id", ""), fields.get("event", ""), fields["data"])
            fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > ANSWER_LIMIT:
            raise ClientError(f"an event is longer than {ANSWER_LIMIT // 1024 // 1024} MiB")
        yield from (line.decode("utf-8", "replace").removesuffix("\r") for line in lines)


def _answered(status: int, body: bytes) -> ErrorResponse:
    try:
        found = json.loads(body)["error"]
        return ErrorResponse(str(found["message"]), str(found["hint"]), code=str(found["code"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return ErrorResponse(f"the server answered {status}")
