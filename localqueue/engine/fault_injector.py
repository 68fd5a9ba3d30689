"""Give attempts scripted outcomes, in the order in which they start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from random import Random

from localqueue.core import clock
from localqueue.core.clock import Clock
from localqueue.core.faults import TIMEOUT, Fault, FaultKind, outcome_without_service, parse_fault
from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Queue, QueueKey, Request
from localqueue.core.records import copy_with
from localqueue.engine.executor import Deliverer, Send

LIMIT = 10_000
"""How many outcomes one queue can have scripted."""


CHAOS = tuple(map(parse_fault, ("503", "timeout", "reset", "lost-ack")))
"""What random faults are."""


class FaultInjector:
    """The scripted outcomes of each queue, in front of the delivery. They are kept in memory until the next reset.

    With `chaos`, from 0 to 1, that part of the attempts without a scripted outcome gets a random one: the same ones at
    every start, in starting order.
    """

    def __init__(self, inner: Deliverer, clock: Clock, chaos: float = 0.0, seed: int = 0) -> None:
        self._inner = inner
        self._clock = clock
        self._chaos = chaos
        self._seed = seed
        self._random = Random(seed)
        self._scripts: dict[QueueKey, deque[Fault]] = {}

    @property
    def scripts(self) -> Mapping[QueueKey, tuple[Fault, ...]]:
        """Return the outcomes that each queue has left."""
        return {key: tuple(script) for key, script in sorted(self._scripts.items())}

    def add(self, key: QueueKey, faults: Iterable[Fault]) -> None:
        """Append outcomes for the next attempts of a queue."""
        self._scripts.setdefault(key, deque()).extend(faults)

    def clear(self, is_wanted: Callable[[QueueKey], bool] = lambda key: True) -> None:
        """Forget the outcomes of the wanted queues."""
        self._scripts = {key: script for key, script in self._scripts.items() if not is_wanted(key)}

    def begin(self, queue: Queue) -> Send:
        """Return what makes the attempt that starts now; its outcome is chosen now, in starting order."""
        script = self._scripts.get(queue.key) if self._scripts else None
        if script is None:
            return self._unscripted(queue)
        fault = script.popleft()
        if not script:
            del self._scripts[queue.key]
        return self._scripted(fault, queue)

    def _unscripted(self, queue: Queue) -> Send:
        if not self._chaos or self._random.random() >= self._chaos:
            return self._inner.begin(queue)
        return self._scripted(self._random.choice(CHAOS), queue)

    def restart(self) -> None:
        """Forget the outcomes of all queues, and repeat the random ones from the first."""
        self.clear()
        self._random = Random(self._seed)

    def _scripted(self, fault: Fault, queue: Queue) -> Send:
        call = self._inner.begin(queue) if fault.kind in (FaultKind.SLOW, FaultKind.LOST_ACK) else None

        async def send(request: Request) -> Outcome:
            outcome = await (
                self._without_service(fault, request) if call is None else self._around(fault, call, request)
            )
            return copy_with(outcome, injected=str(fault))

        return send

    async def _without_service(self, fault: Fault, request: Request) -> Outcome:
        if fault.kind is FaultKind.TIMEOUT:
            await self._pass(request.timeout_ms)
        return outcome_without_service(fault, request.timeout_ms)

    async def _around(self, fault: Fault, call: Send, request: Request) -> Outcome:
        started = self._clock.monotonic()
        outcome = await call(request)
        if fault.kind is FaultKind.SLOW:
            left_ms = request.timeout_ms - round((self._clock.monotonic() - started) * 1000)
            return await self._slow(outcome, fault.value, left_ms, request)
        if outcome.status is None:
            return outcome  # no response came that could be lost
        message = f"the service responded {outcome.status}, but the response was lost (scripted)"
        return Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError("lost_ack", message))

    async def _slow(self, outcome: Outcome, ms: int, left_ms: int, request: Request) -> Outcome:
        """Return the outcome `ms` later, or a timeout if only `left_ms` are left of the attempt's time."""
        await self._pass(max(min(ms, left_ms), 0))
        if ms >= left_ms:
            return outcome_without_service(TIMEOUT, request.timeout_ms)
        return copy_with(outcome, simulated_ms=ms)

    async def _pass(self, ms: int) -> None:
        """Let time pass where the clock runs; a clock that stands still counts it afterwards."""
        if not self._clock.uncounted(ms):
            await clock.delay(ms / 1000)
