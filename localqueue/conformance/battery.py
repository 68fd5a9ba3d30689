"""Run every probe against a queue, and judge what was seen by the rules."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from localqueue.conformance import probes
from localqueue.conformance.catalog import RETRY_DELAY_MS
from localqueue.conformance.checks import Evidence, Reply
from localqueue.conformance.probes import BadRequest, Probe
from localqueue.conformance.rules import RULES, Rule
from localqueue.conformance.worker import Answer, Worker, working
from localqueue.core.clock import pause, wait_until
from localqueue.core.errors import ClientError, ConnectionBroken

REQUEST_S = 30.0
SETTLE_S = 3 * RETRY_DELAY_MS / 1000
"""How long nothing may arrive before the deliveries are counted: a retry too many comes within this time."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule, whether it holds, and what was seen."""

    rule: Rule
    holds: bool
    seen: str


def run(url: str, worker_host: str, worker_port: int, patience_s: float = 20.0) -> list[RuleResult]:
    """Return a result for each rule; takes about five seconds.

    Waits at most `patience_s` for the deliveries that must come. Raises ClientError where the queue doesn't respond or
    lacks the queues of the catalog, OSError where the worker can't listen.
    """
    late = threading.Event()
    planned = {probe.tag: probe for probe in probes.make_probes(late)}

    def answer(tag: str, number: int) -> Answer:
        probe = planned.get(tag)
        return probes.OK if probe is None else probe.answers[min(number, len(probe.answers)) - 1]

    try:
        with working(answer, worker_host, worker_port) as worker:
            evidence = Evidence(planned, _enqueue(url, planned, worker))
            _await(worker, planned, patience_s)
            evidence.arrivals = {tag: worker.of(tag) for tag in (*planned, "")}
            late.set()
    finally:
        late.set()
    return [RuleResult(rule, *rule.check(evidence)) for rule in RULES]


def _enqueue(url: str, planned: Mapping[str, Probe], worker: Worker) -> dict[str, Reply]:
    queue = _Client(url)
    replies = {probe.tag: queue.post(probe.body) for probe in planned.values()}
    _check_known(url, replies["plain"])
    replies["absent"] = queue.post(probes.ABSENT)
    with ThreadPoolExecutor(4) as threads:
        bad = probes.make_bad_requests()
        replies |= zip((request.name for request in bad), threads.map(queue.refuse, bad), strict=True)
    return replies


def _check_known(url: str, reply: Reply) -> None:
    if reply.status == 404:
        raise ClientError(
            f"{url} doesn't know the queues of the rules",
            "Declare them there first. To print their catalog: localqueue conformance --print-catalog",
        )


def _await(worker: Worker, planned: Mapping[str, Probe], patience_s: float) -> None:
    """Return once all deliveries that must come have come, and then nothing for a while."""

    def is_complete() -> bool:
        return all(len(worker.of(probe.tag)) >= probe.expected for probe in planned.values())

    wait_until(is_complete, patience_s, 0.02)
    pause(SETTLE_S)


class _Client:
    """A client that sends bodies as they are, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._url = url

    def post(self, body: bytes, content_type: str = "application/json") -> Reply:
        """Return the reply to POST /jobs. Raises ConnectionBroken."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=REQUEST_S)
        try:
            path = f"{self._parts.path.rstrip('/')}/jobs"
            connection.request("POST", path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            return Reply(response.status, response.headers.get("Content-Type", ""), response.read())
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionBroken(f"{self._url} doesn't respond: {error}", "Is the queue running there?") from None
        finally:
            connection.close()

    def refuse(self, request: BadRequest) -> Reply:
        """Return the reply to a request that must be refused."""
        return self.post(request.body, request.content_type)
