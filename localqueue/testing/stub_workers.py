"""Stubs for the service on some queues: scripted replies, assigned in starting order."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from localqueue.core import clock
from localqueue.core.faults import TIMEOUT
from localqueue.core.models import Outcome, Queue, QueueKey, Request
from localqueue.core.text import counted, safe
from localqueue.engine.executor import Deliverer, Send
from localqueue.testing.handler_errors import HandlerErrors
from localqueue.testing.late_threads import GRACE_S, interrupt
from localqueue.testing.matching import shown
from localqueue.testing.replies import Reply, ScriptedReply, checked, outcome
from localqueue.testing.worker_request import WorkerRequest


class StubWorker:
    """The stub of one queue, which responds from a script."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._script: deque[Any] = deque()
        self._always: tuple[Any, ...] = ()
        self._deliveries = 0
        self._received: list[tuple[int, WorkerRequest]] = []

    def replies(self, *replies: ScriptedReply) -> StubWorker:
        """Add replies: statuses, (status, body), "timeout", "reset", Reply(...), callables.

        Raises ValueError, TypeError.
        """
        self._script.extend([checked(reply) for reply in replies])
        return self

    def always(self, reply: ScriptedReply) -> StubWorker:
        """Respond with this when the script is used up. Raises ValueError, TypeError."""
        self._always = (checked(reply),)
        return self

    @property
    def requests(self) -> list[WorkerRequest]:
        """Return the requests, in starting order."""
        return [request for _, request in sorted(self._received, key=lambda item: item[0])]

    @property
    def unused(self) -> int:
        """Return the number of replies that weren't used."""
        return len(self._script)

    def take(self) -> tuple[int, tuple[Any, ...]]:
        """Return the number of a delivery that starts now, and its reply if there is one."""
        self._deliveries += 1
        return self._deliveries, (self._script.popleft(),) if self._script else self._always

    def receive(self, number: int, request: Request) -> WorkerRequest:
        """Remember a request."""
        received = WorkerRequest.of(request)
        self._received.append((number, received))
        return received

    def expected(self) -> str:
        """Describe this stub for a failure message."""
        deliveries = counted(self._deliveries, "delivery", "deliveries")
        return f"worker({self.queue!r}) got {deliveries}; {counted(self.unused, 'reply', 'replies')} left"


@dataclass
class StubWorkers:
    """The stubs of all queues, in front of the delivery.

    Other queues are delivered to the service if their namespace is in `served`, which has every one if it is None.
    """

    errors: HandlerErrors
    is_virtual: bool = True
    served: set[str] | None = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_queue: dict[QueueKey, StubWorker] = {}
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._calling: tuple[int, str] | None = None
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
            self.unexpected = []

    def cut_off(self) -> list[str]:
        """End a callable that is still running, and return its name."""
        if clock.wait_until(lambda: self._calling is None, GRACE_S) or self._calling is None:
            return []
        ident, queue = self._calling
        interrupt([ident])
        self.close()
        return [f"the reply of worker({queue!r})"]

    def close(self) -> None:
        """Stop the thread that callables run on, and wait for its end unless a callable is still running."""
        thread, calling = self._thread, self._calling
        self._thread = self._calling = None
        if thread is not None:
            thread.shutdown(wait=calling is None, cancel_futures=True)

    def unused(self) -> list[str]:
        """Describe the stubs that have replies left."""
        with self._lock:
            return [stub.expected() for stub in self._by_queue.values() if stub.unused]

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
            if queue.is_schedule:
                self.unexpected.append(f"{queue.namespace} was called by {queue.name} at {queue.endpoint}")
                return outcome(Reply(500, "localqueue: unexpected call"), request.timeout_ms)
            received = WorkerRequest.of(request) if stub is None else stub.receive(number, request)
            self.unexpected.append(
                f"{queue.namespace}/{queue.name} got attempt {received.attempt} of job {received.job_id[-8:]} "
                f"with data {safe(shown(received.data))}"
            )
            return outcome(Reply(500, "localqueue: unexpected delivery"), request.timeout_ms)

        return send

    def _reply(self, stub: StubWorker, number: int, reply: Any) -> Send:
        if not callable(reply):

            async def send(request: Request) -> Outcome:
                stub.receive(number, request)
                return await self._after_delay(reply, request.timeout_ms)

            return send

        loop = asyncio.get_running_loop()
        previous, done = self._previous, loop.create_future()
        self._previous = done

        async def call(request: Request) -> Outcome:
            try:
                if previous is not None:
                    await asyncio.wait([previous])
                return await self._call(stub, reply, stub.receive(number, request), request.timeout_ms)
            finally:
                done.set_result(None)

        return call

    async def _after_delay(self, reply: Any, timeout_ms: int) -> Outcome:
        if isinstance(reply, Reply) and not self.is_virtual:
            await clock.delay(min(reply.delay_ms, timeout_ms) / 1000)
        return outcome(reply, timeout_ms)

    async def _call(
        self,
        stub: StubWorker,
        reply: Callable[[WorkerRequest], ScriptedReply],
        received: WorkerRequest,
        timeout_ms: int,
    ) -> Outcome:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "localqueue-stub")
        running: Awaitable[_CallResult] = asyncio.get_running_loop().run_in_executor(
            self._thread, self._call_safely, stub.queue, reply, received
        )
        try:
            async with clock.Deadline(timeout_ms / 1000):
                result = await running
        except TimeoutError:
            return outcome(TIMEOUT, timeout_ms)
        if result.error is not None:
            self.errors.add(result.error, received.job_id)
            if not isinstance(result.error, Exception) or isinstance(result.error, AssertionError):
                self.unexpected.append(f"a reply raised {type(result.error).__name__}: {result.error}")
            return outcome(Reply(500, "the stub raised an exception"), timeout_ms)
        return await self._after_delay(result.reply, timeout_ms)

    def _call_safely(
        self, queue: str, reply: Callable[[WorkerRequest], ScriptedReply], received: WorkerRequest
    ) -> _CallResult:
        """Call a reply; nothing that it raises may end the server of the whole session."""
        self._calling = calling = (threading.get_ident(), queue)
        try:
            result = reply(received)
            answer = checked(200 if result is None else result)
            if callable(answer):
                raise TypeError("a callable reply can't return another callable")
            return _CallResult(answer)
        except BaseException as error:
            return _CallResult(error=error)
        finally:
            if self._calling is calling:
                self._calling = None


@dataclass(frozen=True)
class _CallResult:
    reply: Any = None
    error: BaseException | None = None
