"""Track what the status shows: the latest warnings, catalog errors, and which targets are listening."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from localqueue.core import events
from localqueue.core.explanations import SERVICE_DOWN, Explanation
from localqueue.core.models import Finding, QueueKey
from localqueue.delivery import tcp_connect
from localqueue.engine.engine import Engine

WARNINGS = 20
PROBE_S = 3.0
"""How old the result of a probe may be."""
PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class TimedWarning:
    """A warning and its time in ms."""

    at_ms: int
    message: str


@dataclass(slots=True)
class Explained:
    """The attempts of a queue that ended in the same way: how many, the latest time in ms, and what it means."""

    key: QueueKey
    count: int
    last_ms: int
    explanation: Explanation


class StatusTracker:
    """A listener of the engine that also probes targets on request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = asyncio.get_running_loop().time()
        self._probes: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self.warnings: deque[TimedWarning] = deque(maxlen=WARNINGS)
        self.catalog_errors: tuple[Finding, ...] = ()
        self._explained: dict[tuple[QueueKey, str], Explained] = {}
        kinds = (events.Warned, events.CatalogRefused, events.CatalogChanged, events.WasReset)
        engine.hub.add_for(kinds, self._take)
        engine.hub.add_for((events.AttemptEnded,), self._explain)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Warned(message):
                self.warnings.append(TimedWarning(self._engine.now(), message))
            case events.CatalogRefused(findings):
                self.catalog_errors = findings
            case events.CatalogChanged():
                self.catalog_errors = ()
            case events.WasReset():
                self._explained.clear()

    def _explain(self, event: events.Event) -> None:
        if not isinstance(event, events.AttemptEnded) or event.explanation is None:
            return
        key, explanation, now = event.job.key, event.explanation, event.attempt.ended_ms
        before = self._explained.get((key, explanation.condition))
        count = 1 if before is None else before.count + 1
        self._explained[key, explanation.condition] = Explained(key, count, now, explanation)

    def explained(self, listening: Collection[str]) -> list[Explained]:
        """Return what attempts have ended with, by queue and condition, except that a listening service was down."""
        ordered = [self._explained[name] for name in sorted(self._explained)]
        return [
            explained
            for explained in ordered
            if explained.explanation.condition != SERVICE_DOWN or explained.key[0] not in listening
        ]

    @property
    def uptime_ms(self) -> int:
        """Return how long the server has been running, in ms of real time."""
        return round((asyncio.get_running_loop().time() - self._started) * 1000)

    async def listening(self, targets: Iterable[str]) -> dict[str, bool]:
        """Return for each target whether it accepts connections; each is probed at most every few seconds."""
        probes = {target: self._probe(target) for target in targets}
        return {target: await asyncio.shield(probe) for target, probe in probes.items()}

    def _probe(self, target: str) -> asyncio.Task[bool]:
        now = asyncio.get_running_loop().time()
        self._probes = {known: probe for known, probe in self._probes.items() if now - probe[0] < PROBE_S}
        if target not in self._probes:
            self._probes[target] = (now, asyncio.create_task(tcp_connect.listens(target, PROBE_TIMEOUT_S)))
        return self._probes[target][1]
