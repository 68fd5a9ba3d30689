"""Call a running server: one method per route of the production API and the control API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from localqueue.core.errors import ClientError, ErrorResponse
from localqueue.core.text import safe

RESPONSE_LIMIT = 256 * 1024 * 1024
"""The largest response that is read, in bytes."""
PAGE = 200
T = TypeVar("T")

Parameters = Mapping[str, str | int]


class Connection(Protocol):
    """The way to a server that is known to be localqueue. Its methods raise ClientError."""

    url: str

    def check(self) -> dict[str, Any]:
        """Return the server's status after checking that it is localqueue."""

    def send(
        self, method: str, path: str, content: bytes | None, parameters: Parameters, work_s: float | None
    ) -> tuple[int, bytes]:
        """Return the status and the body of the response; the server may work for `work_s` (None: without limit)."""

    def stream(
        self, path: str, parameters: Parameters, headers: Mapping[str, str]
    ) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Return the status and the chunks of a response that has no end."""

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """A server-sent event: its id, its kind, and its data as JSON text."""

    id: str
    kind: str
    data: str


class Client:
    """The routes of a server as methods.

    They raise ClientError: NoServer, NotLocalqueue, ConnectionBroken, or ErrorResponse. Those that end in `_text`
    return the JSON as the server sent it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def url(self) -> str:
        """Return the URL of the server."""
        return self._connection.url

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the server

    def check(self) -> dict[str, Any]:
        """Return the server's status after checking that it is localqueue."""
        return self._connection.check()

    def status_text(self) -> str:
        """Return the server's status."""
        return self._text("/status")

    def rejections(self) -> list[dict[str, Any]]:
        """Return the refused requests by reason, newest first."""
        return list(self._get("/rejections")["rejections"])

    def events(self, last_id: str | None = None, **filters: str | None) -> Iterator[ServerEvent]:
        """Yield events until the server stops: new ones, or first those since `last_id`."""
        headers = {"Accept": "text/event-stream", **({} if last_id is None else {"Last-Event-ID": last_id})}
        parameters = _given(filters)
        with self._connection.stream("/_localqueue/events", parameters, headers) as (status, chunks):
            if status != 200:
                raise _error_response(status, b"".join(chunks))
            yield from _parse_events(chunks)

    # queues

    def queues(self) -> list[dict[str, Any]]:
        """Return every queue that is declared or has jobs."""
        return list(self._get("/queues")["queues"])

    def queues_text(self) -> str:
        """Return every queue that is declared or has jobs."""
        return self._text("/queues")

    def pause(self, namespace: str, queue: str) -> None:
        """Pause a queue."""
        self._post(path_of("queues", namespace, queue, "pause"))

    def resume(self, namespace: str, queue: str) -> None:
        """Resume a queue."""
        self._post(path_of("queues", namespace, queue, "resume"))

    def change_queue(self, namespace: str, queue: str, settings: Mapping[str, Any]) -> Any:
        """Change settings of a queue until the next reset; None restores one."""
        return self._json("PATCH", f"/_localqueue{path_of('queues', namespace, queue)}", json.dumps(settings))

    def change_target(self, namespace: str, url: str) -> Any:
        """Change the base URL of a service until the next reset."""
        return self._json("PUT", f"/_localqueue{path_of('targets', namespace)}", json.dumps({"url": url}))

    # faults

    def faults(self) -> list[dict[str, Any]]:
        """Return the scripted outcomes that are left, by queue."""
        return list(self._get("/faults")["faults"])

    def add_faults(self, namespace: str, queue: str, outcomes: Sequence[str | int]) -> list[dict[str, Any]]:
        """Script the outcomes of the next attempts of a queue; return those that are left."""
        body = {"namespace": namespace, "queue": queue, "outcomes": list(outcomes)}
        return list(self._post("/faults", body)["faults"])

    def clear_faults(self, namespace: str | None = None, queue: str | None = None) -> list[dict[str, Any]]:
        """Forget the scripted outcomes of all queues, or of one; return those that are left."""
        parameters = _given({"namespace": namespace, "queue": queue})
        return list(_parse(self._call("DELETE", "/_localqueue/faults", parameters=parameters))["faults"])

    # jobs

    def enqueue(self, namespace: str, queue: str, data: str) -> str:
        """Enqueue a job with `data`, which is JSON text; return its id."""
        names = f'"namespace":{json.dumps(namespace)},"queue":{json.dumps(queue)}'
        return str(self._json("POST", "/jobs", f'{{{names},"data":{data}}}')["id"])

    def job(self, id_: str) -> dict[str, Any]:
        """Return a job with its data and attempts."""
        return dict(self._get(path_of("jobs", id_)))

    def job_text(self, id_: str) -> str:
        """Return a job with its data and attempts."""
        return self._text(path_of("jobs", id_))

    def job_data(self, id_: str) -> str:
        """Return the data of a job as it was sent."""
        return self._text(path_of("jobs", id_, "data"))

    def jobs(self, limit: int | None = None, **filters: str | int | None) -> Iterator[dict[str, Any]]:
        """Yield the jobs that fit, newest first; `limit` None means all."""
        for page in self.job_pages(limit, **filters):
            yield from page["jobs"]

    def job_pages(self, limit: int | None = None, **filters: str | int | None) -> Iterator[dict[str, Any]]:
        """Yield the pages that `jobs` goes through."""
        after: str | None = None
        while True:
            page = self._get("/jobs", **filters, limit=PAGE if limit is None else min(limit, PAGE), after=after)
            yield page
            limit = None if limit is None else limit - len(page["jobs"])
            after = page["next"]
            if after is None or (limit is not None and limit <= 0):
                return

    def retry(self, id_: str) -> dict[str, Any]:
        """Start a new round of a failed or cancelled job."""
        return dict(self._post(path_of("jobs", id_, "retry")))

    def failures(self, namespace: str | None = None, queue: str | None = None) -> list[dict[str, Any]]:
        """Return the failed jobs by cause."""
        return list(self._get("/failures", namespace=namespace, queue=queue)["failures"])

    def delete(self, id_: str) -> dict[str, Any]:
        """Delete a finished job."""
        return dict(self._json("DELETE", f"/_localqueue{path_of('jobs', id_)}"))

    def job_counts(self, **filters: str | int | None) -> dict[str, int]:
        """Return the number of the jobs that fit by state."""
        return dict(self._get("/jobs/counts", **filters))

    def delete_finished(self, state: str = "finished", **filters: str | int | None) -> int:
        """Delete every finished job that fits, or those of one state; return how many."""
        parameters: dict[str, str | int | None] = {"state": state, **filters}
        answer = self._call("DELETE", "/_localqueue/jobs", parameters=_given(parameters), work_s=None)
        return int(_parse(answer)["deleted"])

    def retry_failed(self, **filters: str | int | None) -> int:
        """Start a new round of every failed job that fits; return how many."""
        return int(self._post("/jobs/retry", _given(filters), work_s=None)["retried"])

    def cancel_unfinished(self, **filters: str | int | None) -> int:
        """Cancel every unfinished job that fits; return how many."""
        return int(self._post("/jobs/cancel", _given(filters), work_s=None)["cancelled"])

    def hold(self, id_: str) -> dict[str, Any]:
        """Let a running attempt take longer than timeoutMs."""
        return dict(self._post(path_of("jobs", id_, "hold")))

    def release(self, id_: str) -> dict[str, Any]:
        """End the hold of a running attempt."""
        return dict(self._post(path_of("jobs", id_, "release")))

    def cancel(self, id_: str) -> dict[str, Any]:
        """Cancel a job."""
        return dict(self._post(path_of("jobs", id_, "cancel")))

    def replay(self, id_: str, data: str | None = None) -> dict[str, Any]:
        """Enqueue a new job like another one, with the same data or with this JSON text."""
        body = "{}" if data is None else f'{{"data":{data}}}'
        return dict(self._json("POST", f"/_localqueue{path_of('jobs', id_, 'replay')}", body))

    def deliver_again(self, id_: str) -> dict[str, Any]:
        """Deliver a finished job again, with the same jobId and attempt; return both outcomes."""
        return dict(self._post(path_of("jobs", id_, "deliver-again"), work_s=None))

    def schedules(self) -> dict[str, Any]:
        """Return every schedule, and whether the clock fires them."""
        return dict(self._get("/schedules"))

    def trigger(self, namespace: str, name: str) -> dict[str, Any]:
        """Fire a schedule now; return how that ended."""
        return dict(self._post(path_of("schedules", namespace, name, "trigger"), work_s=None))

    # time

    def clock(self) -> dict[str, Any]:
        """Return the clock's mode, time and offset."""
        return dict(self._get("/clock"))

    def clock_text(self) -> str:
        """Return the clock's mode, time and offset."""
        return self._text("/clock")

    def advance(
        self, *, ms: int | None = None, to: str | None = None, settle_ms: int = 0, timeout_ms: int | None = None
    ) -> dict[str, Any]:
        """Advance the clock by `ms`, or `to` a time or `next`; takes as long as the attempts do, or `timeout_ms`."""
        move = {"ms": ms} if to is None else {"to": to}
        body = _given({**move, "settleMs": settle_ms, "timeoutMs": timeout_ms})
        return dict(self._post("/clock/advance", body, work_s=None))

    def step(self, timeout_ms: int | None = None) -> dict[str, Any]:
        """Run one attempt."""
        return dict(self._post("/clock/step", _given({"timeoutMs": timeout_ms}), work_s=None))

    def drain(
        self, timeout_ms: int, settle_ms: int = 0, namespace: str | None = None, queue: str | None = None
    ) -> dict[str, Any]:
        """Run until every job has finished, or those of a queue, or for `timeout_ms`."""
        body = _given({"timeoutMs": timeout_ms, "settleMs": settle_ms, "namespace": namespace, "queue": queue})
        return dict(self._post("/drain", body, work_s=timeout_ms / 1000))

    def reset(self) -> dict[str, Any]:
        """Delete all jobs and restore the initial state; return the clock."""
        return dict(self._post("/reset"))

    def ledger_text(self, format: str = "text") -> str:
        """Return one line per attempt, as `text` or `jsonl`."""
        return self._text("/ledger", format=format)

    # requests

    def _get(self, path: str, **parameters: str | int | None) -> Any:
        return _parse(self._text(path, **parameters))

    def _text(self, path: str, **parameters: str | int | None) -> str:
        return self._call("GET", f"/_localqueue{path}", parameters=_given(parameters)).decode("utf-8", "replace")

    def _post(self, path: str, body: Mapping[str, Any] | None = None, *, work_s: float | None = 0) -> Any:
        return self._json("POST", f"/_localqueue{path}", json.dumps(body or {}), work_s)

    def _json(self, method: str, path: str, content: str | None = None, work_s: float | None = 0) -> Any:
        return _parse(self._call(method, path, content, work_s=work_s))

    def _call(
        self,
        method: str,
        path: str,
        content: str | None = None,
        *,
        parameters: Parameters | None = None,
        work_s: float | None = 0,
    ) -> bytes:
        encoded = None if content is None else content.encode("utf-8", "surrogatepass")
        status, body = self._connection.send(method, path, encoded, parameters or {}, work_s)
        if 200 <= status < 300:
            return body
        raise _error_response(status, body)


def _given(values: Mapping[str, T | None]) -> dict[str, T]:
    """Return the values that aren't None."""
    return {name: value for name, value in values.items() if value is not None}


def path_of(*parts: str) -> str:
    """Return a path of these parts, whatever they contain."""
    return "".join("/" + quote(part, safe="") for part in parts)


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"the server's response isn't valid JSON: {safe(str(error))}") from None


def _parse_events(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the events of a stream; unknown fields are ignored."""
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
        if len(rest) > RESPONSE_LIMIT:
            raise ClientError(f"an event is larger than {RESPONSE_LIMIT // 1024 // 1024} MiB")
        yield from (line.decode("utf-8", "replace").removesuffix("\r") for line in lines)


def _error_response(status: int, body: bytes) -> ErrorResponse:
    try:
        error = json.loads(body)["error"]
        return ErrorResponse(str(error["message"]), str(error["hint"]), code=str(error["code"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return ErrorResponse(f"the server responded {status}")
