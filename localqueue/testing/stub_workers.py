"""Stubs for the service on some queues: scripted replies, assigned in starting order."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.datastructures import Headers

from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Queue, QueueKey, Request, Response
from localqueue.core.text import counted, safe
from localqueue.core.times import duration
from localqueue.engine.executor import Deliverer, Send
from localqueue.testing import tracebacks

Reply = Any
"""A status, (status, body), "timeout", "reset", or a callable that gets the WorkerRequest and returns one of these."""


@dataclass(frozen=True)
class WorkerRequest:
    """A request that was delivered to a stub."""

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
    """The stub of one queue, which responds from a script."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._script: deque[Reply] = deque()
        self._always: tuple[Reply, ...] = ()
        self._deliveries = 0
        self._received: list[tuple[int, WorkerRequest]] = []

    def replies(self, *replies: Reply) -> StubWorker:
        """Add replies: statuses, (status, body), "timeout", "reset", callables. Raises ValueError, TypeError."""
        self._script.extend(_checked(reply) for reply in replies)
        return self

    def always(self, reply: Reply) -> StubWorker:
        """Respond with this when the script is used up. Raises ValueError, TypeError."""
        self._always = (_checked(reply),)
        return self

    @property
    def requests(self) -> list[WorkerRequest]:
        """Return the requests, in starting order."""
        return [request for _, request in sorted(self._received, key=lambda item: item[0])]

    def take(self) -> tuple[int, tuple[Reply, ...]]:
        """Return the number of a delivery that starts now, and its reply if there is one."""
        self._deliveries += 1
        return self._deliveries, (self._script.popleft(),) if self._script else self._always

    def receive(self, number: int, request: Request) -> WorkerRequest:
        """Remember a request."""
        received = WorkerRequest(request.url, request.body, Headers(dict(request.headers)))
        self._received.append((number, received))
        return received

    def expected(self) -> str:
        """Describe this stub for a failure message."""
        deliveries = counted(self._deliveries, "delivery", "deliveries")
        return f"worker({self.queue!r}) got {deliveries}; {counted(len(self._script), 'reply', 'replies')} left"


@dataclass
class StubWorkers:
    """The stubs of all queues, in front of the delivery.

    Other queues are delivered to the service if their namespace is in `served`, which has every one if it is None.
    """

    served: set[str] | None = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_queue: dict[QueueKey, StubWorker] = {}
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._previous: asyncio.Future[None] | None = None

    def wrap(self, inner: Deliverer) -> Deliverer:
        """Take over from this delivery."""
        self._inner = inner
        return self

    def get(self, key: QueueKey) -> StubWorker:
        """Return the stub of a queue, always the same one."""
        with self._lock:
            return self._by_queue.setdefault(key, StubWorker(key[1]))

    def clear(self, served: Collection[str] | None) -> None:
        """Forget every stub and every problem."""
        with self._lock:
            self._by_queue.clear()
            self.served = None if served is None else set(served)
            self.unexpected, self.exceptions = [], []

    def close(self) -> None:
        """Stop the thread that callables run on."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def report(self) -> str:
        """Return what was delivered unexpectedly, and what was expected."""
        with self._lock:
            expected = [stub.expected() for stub in self._by_queue.values()]
            delivered = "\n".join(f"  {line}" for line in self.unexpected)
        return f"unexpected deliveries:\n{delivered}\nexpected:\n" + "\n".join(
            f"  {line}"
            for line in expected or ["nothing: the test uses neither serve(...) nor worker(...).replies(...)"]
        )

    def begin(self, queue: Queue) -> Send:
        """Return what sends the attempt that starts now; its reply is chosen now, in starting order."""
        with self._lock:
            stub = self._by_queue.get(queue.key)
            if stub is None and (self.served is None or queue.namespace in self.served):
                return self._inner.begin(queue)
            number, replies = stub.take() if stub is not None else (0, ())
        if not replies:
            return self._refuse(queue, stub, number)
        assert stub is not None
        return self._reply(stub, number, replies[0])

    def _refuse(self, queue: Queue, stub: StubWorker | None, number: int) -> Send:
        async def send(request: Request) -> Outcome:
            if stub is not None:
                stub.receive(number, request)
            self.unexpected.append(
                f"{queue.namespace}/{queue.name} got {safe(request.body.decode('utf-8', 'replace'))}"
            )
            return _response_outcome(500, "localqueue: unexpected delivery")

        return send

    def _reply(self, stub: StubWorker, number: int, reply: Reply) -> Send:
        if not callable(reply):

            async def send(request: Request) -> Outcome:
                stub.receive(number, request)
                return _outcome(reply, request.timeout_ms)

            return send

        loop = asyncio.get_running_loop()
        previous, done = self._previous, loop.create_future()
        self._previous = done

        async def call(request: Request) -> Outcome:
            try:
                if previous is not None:
                    await asyncio.wait([previous])
                return await self._call(reply, stub.receive(number, request), request.timeout_ms)
            finally:
                done.set_result(None)

        return call

    async def _call(self, reply: Callable[[WorkerRequest], Reply], received: WorkerRequest, timeout_ms: int) -> Outcome:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "localqueue-stub")
        running: Awaitable[_CallResult] = asyncio.get_running_loop().run_in_executor(
            self._thread, _call_safely, reply, received
        )
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                result = await running
        except TimeoutError:
            return _outcome("timeout", timeout_ms)
        if result.error is not None:
            self.exceptions.append(tracebacks.format_exception(result.error))
            if not isinstance(result.error, Exception) or isinstance(result.error, AssertionError):
                self.unexpected.append(f"a reply raised {type(result.error).__name__}: {result.error}")
            return _response_outcome(500, "the stub raised an exception")
        return _outcome(200 if result.reply is None else result.reply, timeout_ms)


@dataclass(frozen=True)
class _CallResult:
    reply: Reply = None
    error: BaseException | None = None


def _call_safely(reply: Callable[[WorkerRequest], Reply], received: WorkerRequest) -> _CallResult:
    """Call a reply; nothing that it raises may end the server of the whole session."""
    try:
        result = reply(received)
        return _CallResult(None if result is None else _checked(result))
    except BaseException as error:
        return _CallResult(error=error)


def _checked(reply: Reply) -> Reply:
    """Return a reply that can be sent. Raises ValueError, TypeError."""
    if inspect.iscoroutinefunction(reply) or inspect.iscoroutine(reply):
        raise TypeError("a reply can't be an async function; use a plain function")
    if callable(reply) or reply in ("timeout", "reset"):
        return reply
    status = reply[0] if isinstance(reply, tuple) and len(reply) == 2 else reply
    if type(status) is not int or not 200 <= status <= 999:
        raise ValueError(
            f'a reply must be a status from 200 to 999, (status, body), "timeout", "reset" or a callable, not {reply!r}'
        )
    if isinstance(reply, tuple):
        _encoded(reply[1])
    return reply


def _outcome(reply: Reply, timeout_ms: int) -> Outcome:
    if reply == "timeout":
        error = AttemptError("timeout", f"timed out after {duration(timeout_ms)} (scripted)")
        return Outcome(OutcomeKind.TIMEOUT, None, error)
    if reply == "reset":
        error = AttemptError("connection_reset", "the connection was reset (scripted)")
        return Outcome(OutcomeKind.CONNECTION_ERROR, None, error)
    return _response_outcome(*reply) if isinstance(reply, tuple) else _response_outcome(reply, b"")


def _response_outcome(status: int, body: Any) -> Outcome:
    kind = "text/plain; charset=utf-8" if isinstance(body, bytes | str) else "application/json"
    response = Response((("content-type", kind),), _encoded(body))
    if status < 300:
        return Outcome(OutcomeKind.COMPLETED, status, None, response)
    error = AttemptError(f"http_{status}", f"the service responded {status}")
    return Outcome(OutcomeKind.HTTP_ERROR, status, error, response)


def _encoded(body: Any) -> bytes:
    """Return a body as bytes. Raises ValueError if it can't be sent."""
    if isinstance(body, bytes):
        return body
    try:
        return (body if isinstance(body, str) else json.dumps(body)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the body {body!r} of a reply can't be sent as JSON: {error}") from None
