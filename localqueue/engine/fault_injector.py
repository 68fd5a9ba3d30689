"""Give attempts scripted outcomes, in the order in which they start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from localqueue.core import clock
from localqueue.core.clock import Clock
from localqueue.core.faults import Fault, FaultKind
from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Queue, QueueKey, Request
from localqueue.core.records import copy_with
from localqueue.core.times import duration
from localqueue.engine.executor import Deliverer, Send

LIMIT = 10_000
"""How many outcomes one queue can have scripted."""
_ERRORS = {
    FaultKind.RESET: ("connection_reset", "the connection was reset (injected)"),
    FaultKind.REFUSE: ("connect_refused", "connection refused (injected)"),
}


class FaultInjector:
    """The scripted outcomes of each queue, in front of the delivery. They are kept in memory until the next reset."""

    def __init__(self, inner: Deliverer, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
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
            return self._inner.begin(queue)
        fault = script.popleft()
        if not script:
            del self._scripts[queue.key]
        return self._scripted(fault, queue)

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
            return await self._timeout(request)
        if fault.kind in _ERRORS:
            return Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError(*_ERRORS[fault.kind]))
        status = fault.value or 200
        if status < 300:
            return Outcome(OutcomeKind.COMPLETED, status)
        error = AttemptError(f"http_{status}", f"the service responded {status} (injected)")
        return Outcome(OutcomeKind.HTTP_ERROR, status, error)

    async def _around(self, fault: Fault, call: Send, request: Request) -> Outcome:
        outcome = await call(request)
        if fault.kind is FaultKind.SLOW:
            return await self._slow(outcome, fault.value, request)
        if outcome.status is None:
            return outcome  # no response came that could be lost
        message = f"the service responded {outcome.status}, but the response was lost (injected)"
        return Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError("lost_ack", message))

    async def _slow(self, outcome: Outcome, ms: int, request: Request) -> Outcome:
        if ms >= request.timeout_ms:
            return await self._timeout(request)
        await self._pass(ms)
        return copy_with(outcome, simulated_ms=ms)

    async def _timeout(self, request: Request) -> Outcome:
        await self._pass(request.timeout_ms)
        message = f"timed out after {duration(request.timeout_ms)} (injected)"
        return Outcome(OutcomeKind.TIMEOUT, None, AttemptError("timeout", message))

    async def _pass(self, ms: int) -> None:
        """Let time pass where the clock runs; a clock that stands still counts it afterwards."""
        if not self._clock.uncounted(ms):
            await clock.delay(ms / 1000)
