"""Stand in for the service on some queues: scripted replies, given out in starting order by the engine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Queue, QueueKey, Request, Response
from localqueue.core.text import safe
from localqueue.engine.executor import Deliverer, Send
from localqueue.testing import tracebacks

Reply = Any
"""A status, (status, body), "timeout", "reset", or a callable that gets the WorkerRequest and returns one of these."""


@dataclass(frozen=True)
class WorkerRequest:
    """Hold what was delivered to a stand-in."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @cached_property
    def json(self) -> Any:
        """Return the body: {"jobId", "queue", "attempt", "data"}."""
        return json.loads(self.body)

    @property
    def attempt(self) -> int:
        """Return the number of the attempt, from 1."""
        return int(self.json["attempt"])

    @property
    def data(self) -> Any:
        """Return the job's data."""
        return self.json["data"]


class StubWorker:
    """Answer the deliveries of one queue from a script."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._script: deque[Reply] = deque()
        self._always: tuple[Reply, ...] = ()
        self._given = 0
        self._received: list[tuple[int, WorkerRequest]] = []

    def replies(self, *replies: Reply) -> StubWorker:
        """Add to the script: statuses, (status, body), "timeout", "reset", callables. Raises ValueError."""
        self._script.extend(_checked(reply) for reply in replies)
        return self

    def always(self, reply: Reply) -> StubWorker:
        """Answer with this when the script is used up. Raises ValueError."""
        self._always = (_checked(reply),)
        return self

    @property
    def requests(self) -> list[WorkerRequest]:
        """Return what came, in starting order."""
        return [request for _, request in sorted(self._received, key=lambda each: each[0])]

    def take(self) -> tuple[int, tuple[Reply, ...]]:
        """Return the number of a delivery that is being started, and the reply to it if there is one."""
        self._given += 1
        return self._given, (self._script.popleft(),) if self._script else self._always

    def receive(self, number: int, request: Request) -> WorkerRequest:
        """Keep what was delivered."""
        found = WorkerRequest(request.url, request.body, httpx.Headers(list(request.headers)))
        self._received.append((number, found))
        return found

    def expected(self) -> str:
        """Return what is known of this stand-in, for a failure message."""
        return f"worker({self.queue!r}) had {self._given} deliveries, {len(self._script)} replies are left"


@dataclass
class StubWorkers:
    """Put stand-ins before the delivery. `has_service` says whether other queues go to a service."""

    has_service: bool = False
    unexpected: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_queue: dict[QueueKey, StubWorker] = {}
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._previous: asyncio.Future[None] | None = None

    def wrap(self, inner: Deliverer) -> Deliverer:
        """Stand before this delivery."""
        self._inner = inner
        return self

    def get(self, key: QueueKey) -> StubWorker:
        """Return the stand-in of a queue, always the same one."""
        with self._lock:
            return self._by_queue.setdefault(key, StubWorker(key[1]))

    def clear(self, has_service: bool) -> None:
        """Forget every stand-in and what went wrong."""
        with self._lock:
            self._by_queue.clear()
            self.has_service = has_service
            self.unexpected, self.exceptions = [], []

    def close(self) -> None:
        """End the thread that callables run on."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def report(self) -> str:
        """Return what came unexpectedly beside what was expected."""
        with self._lock:
            known = [each.expected() for each in self._by_queue.values()]
            came = "\n".join(f"  {line}" for line in self.unexpected)
        return f"deliveries without a reply:\n{came}\nexpected:\n" + "\n".join(
            f"  {line}" for line in known or ["nothing: there is neither serve(...) nor worker(...).replies(...)"]
        )

    def begin(self, queue: Queue) -> Send:
        """Return what makes the attempt that is being started; the reply is chosen now, in starting order."""
        with self._lock:
            standin = self._by_queue.get(queue.key)
            if standin is None and self.has_service:
                return self._inner.begin(queue)
            number, chosen = standin.take() if standin is not None else (0, ())
        if not chosen:
            return self._refuse(queue, standin, number)
        assert standin is not None
        return self._reply(standin, number, chosen[0])

    def _refuse(self, queue: Queue, standin: StubWorker | None, number: int) -> Send:
        async def send(request: Request) -> Outcome:
            if standin is not None:
                standin.receive(number, request)
            self.unexpected.append(f"{queue.name} got {safe(request.body.decode('utf-8', 'replace'))}")
            return _answered(500, "localqueue: no reply was expected here")

        return send

    def _reply(self, standin: StubWorker, number: int, reply: Reply) -> Send:
        if not callable(reply):

            async def send(request: Request) -> Outcome:
                standin.receive(number, request)
                return _outcome(reply, request.timeout_ms)

            return send

        loop = asyncio.get_running_loop()
        previous, mine = self._previous, loop.create_future()
        self._previous = mine

        async def call(request: Request) -> Outcome:
            try:
                if previous is not None:
                    await asyncio.wait([previous])
                return await self._call(reply, standin.receive(number, request), request.timeout_ms)
            finally:
                mine.set_result(None)

        return call

    async def _call(self, reply: Callable[[WorkerRequest], Reply], received: WorkerRequest, timeout_ms: int) -> Outcome:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "localqueue-stand-in")
        running: Awaitable[Reply] = asyncio.get_running_loop().run_in_executor(self._thread, reply, received)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                found = await running
            return _outcome(200 if found is None else _checked(found), timeout_ms)
        except TimeoutError:
            return _outcome("timeout", timeout_ms)
        except Exception as error:
            self.exceptions.append(tracebacks.format_exception(error))
            return _answered(500, "the stand-in raised an exception")


def _checked(reply: Reply) -> Reply:
    if callable(reply) or reply in ("timeout", "reset"):
        return reply
    status = reply[0] if isinstance(reply, tuple) and len(reply) == 2 else reply
    if type(status) is int and 200 <= status <= 999:
        return reply
    raise ValueError(
        f'expected a status from 200 to 999, (status, body), "timeout", "reset" or a callable, got {reply!r}'
    )


def _outcome(reply: Reply, timeout_ms: int) -> Outcome:
    if reply == "timeout":
        error = AttemptError("timeout", f"no complete response within {timeout_ms} ms (scripted)")
        return Outcome(OutcomeKind.TIMEOUT, None, error)
    if reply == "reset":
        error = AttemptError("connection_reset", "the connection broke (scripted)")
        return Outcome(OutcomeKind.CONNECTION_ERROR, None, error)
    return _answered(*reply) if isinstance(reply, tuple) else _answered(reply, b"")


def _answered(status: int, body: Any) -> Outcome:
    is_raw = isinstance(body, bytes | str)
    kind = "text/plain; charset=utf-8" if is_raw else "application/json"
    text = body if is_raw else json.dumps(body)
    response = Response((("content-type", kind),), text.encode() if isinstance(text, str) else text)
    if status < 300:
        return Outcome(OutcomeKind.COMPLETED, status, None, response)
    error = AttemptError(f"http_{status}", f"the service answered {status}")
    return Outcome(OutcomeKind.HTTP_ERROR, status, error, response)
