"""Drive a dispatcher step by step: jobs in memory, a service that responds when told to, and simulated time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.core.errors import StorageUnavailable
from localqueue.core.models import Attempt, AttemptError, Job, Outcome, OutcomeKind, Queue, QueueKey, Request
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.prefetch import SMALL_PAYLOAD
from tests.sim.loop import SimLoop

T = TypeVar("T")
A: QueueKey = ("shop", "a")
B: QueueKey = ("shop", "b")
MAIL: QueueKey = ("mail", "m")
TARGETS = {"shop": "http://shop", "mail": "http://mail"}
OK = Outcome(OutcomeKind.COMPLETED, 200)
ERROR = Outcome(OutcomeKind.HTTP_ERROR, 500, AttemptError("http_500", "responded 500"))
TIMEOUT = Outcome(OutcomeKind.TIMEOUT, None, AttemptError("timeout", "timed out"))


def play(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in simulated time; waiting for nothing raises Stuck. It may leave no task behind."""

    async def main() -> T:
        result = await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    loop = SimLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()


async def turns(count: int = 10) -> None:
    """Let everything happen that needs no time."""
    for _ in range(count):
        await asyncio.sleep(0)


def queue(key: QueueKey, **settings: Any) -> Queue:
    return Queue(*key, f"/{key[1]}", **settings)


def job(seq: int, key: QueueKey = A, due_ms: int = 0, **fields: Any) -> Job:
    return Job(seq, f"job-{seq}", *key, 0, due_ms, **fields)


class Clock(VirtualClock):
    """A clock that the test sets; with `is_running`, it counts timeouts by itself, as the wall clock does."""

    def __init__(self) -> None:
        super().__init__(0)
        self.is_running = False
        self.seconds = 0.0
        self.waits: list[int | None] = []

    def now_rounded_up(self) -> int:
        return self.now() + int(self.is_running)

    def monotonic(self) -> float:
        return self.seconds

    def uncounted(self, duration_ms: int) -> int:
        return 0 if self.is_running else duration_ms

    async def wait(self, until: int | None, wake: asyncio.Event) -> None:
        self.waits.append(until)
        await wake.wait()


class MemoryStore:
    """What the engine needs of a store; errors in the lists are raised by the next calls."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.recorded: list[tuple[Job, Job, Attempt]] = []
        self.write_errors: list[str | Exception] = []
        self.read_errors: list[str | Exception] = []
        self.loads: list[tuple[QueueKey, tuple[int, int], int]] = []
        self.payloads: list[int] = []
        self.small: dict[int, bytes] = {}
        self.at_record: Callable[[], object] = lambda: None
        self.may_write = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_write.set()
        self.may_read.set()
        self.has_burst = False
        self.can_wait: list[bool] = []
        self.bursts = 0

    def put(self, *jobs: Job) -> None:
        self.jobs.update({each.seq: each for each in jobs})

    async def pending(
        self, key: QueueKey, after: tuple[int, int], limit: int, small: int
    ) -> list[tuple[Job, bytes | None]]:
        self.loads.append((key, after, limit))
        await self.may_read.wait()
        self._fail(self.read_errors)
        found = [each for each in self.jobs.values() if each.key == key and each.finished is None]
        found.sort(key=lambda each: (each.due_ms, each.seq))
        small_of = self.small if small == SMALL_PAYLOAD else {}
        return [(each, small_of.get(each.seq)) for each in found if (each.due_ms, each.seq) > after][:limit]

    async def payload(self, seq: int) -> bytes:
        self.payloads.append(seq)
        self._fail(self.read_errors)
        return b'"stored"'

    async def record(self, before: Job, after: Job, attempt: Attempt, *, can_wait: bool = False) -> None:
        self.can_wait.append(can_wait)
        self.at_record()
        await self.may_write.wait()
        self._fail(self.write_errors)
        self.recorded.append((before, after, attempt))
        self.put(after)

    def _fail(self, errors: list[str | Exception]) -> None:
        if errors:
            error = errors.pop(0)
            raise StorageUnavailable(error) if isinstance(error, str) else error

    async def after_burst(self) -> None:
        self.bursts += 1


class Bench:
    """Hold a dispatcher with the queues a, b and m, and be the service that it delivers to."""

    def __init__(self, *queues: Queue, has_timeouts: bool = True) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.events: list[events.Event] = []
        self.requests: dict[int, Request] = {}
        self._responses: dict[int, asyncio.Future[Outcome]] = {}
        store: Any = self.store
        self.dispatcher = Dispatcher(self.clock, store, self, self.events.append, has_timeouts=has_timeouts)
        self.queues = {each.key: each for each in (queues or map(queue, (A, B, MAIL)))}
        self.dispatcher.configure(self.queues, TARGETS)

    def begin(self, queue: Queue) -> Callable[[Request], Coroutine[Any, Any, Outcome]]:
        return self._send

    async def _send(self, request: Request) -> Outcome:
        seq = int(json.loads(request.body)["jobId"].removeprefix("job-"))
        self.requests[seq] = request
        self._responses[seq] = asyncio.get_running_loop().create_future()
        assert request.deadline is not None
        try:
            async with request.deadline:  # as the delivery does
                return await self._responses[seq]
        except TimeoutError:
            return TIMEOUT

    def respond(self, seq: int, outcome: Outcome | Exception = OK) -> None:
        """Let the service respond to the attempt of a job."""
        if isinstance(outcome, Exception):
            self._responses[seq].set_exception(outcome)
        else:
            self._responses[seq].set_result(outcome)

    async def ready(self, *jobs: Job) -> None:
        """Store jobs, and return when they are in memory and nothing else is to be done."""
        self.store.put(*jobs)
        self.dispatcher.start_due(limit=0)
        await self.dispatcher.wait_loaded()
        for each in jobs:
            self.dispatcher.offer(each)

    async def run(self, *jobs: Job) -> None:
        """Start the attempts of jobs that are due."""
        await self.ready(*jobs)
        self.dispatcher.start_due()
        await turns()

    async def stop(self) -> None:
        """Stop, so that no task is left."""
        await self.dispatcher.stop(0)

    def told(self, kind: type[T]) -> list[T]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def started(self) -> list[int]:
        """Return the seq of each job that was started, in order."""
        return [event.job.seq for event in self.told(events.Started)]

    @property
    def recorded(self) -> list[tuple[int, str]]:
        """Return the seq and the outcome of each attempt that was stored, in order."""
        return [(before.seq, str(attempt.outcome.kind)) for before, _, attempt in self.store.recorded]
