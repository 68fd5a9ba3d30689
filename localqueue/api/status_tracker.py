"""Track what the status shows: the latest warnings, catalog errors, and which targets are listening."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from localqueue.core import events
from localqueue.core.models import Finding
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


class StatusTracker:
    """A listener of the engine that also probes targets on request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = asyncio.get_running_loop().time()
        self._probes: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self.warnings: deque[TimedWarning] = deque(maxlen=WARNINGS)
        self.catalog_errors: tuple[Finding, ...] = ()
        engine.hub.add_for((events.Warned, events.CatalogRefused, events.CatalogChanged), self._take)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Warned(message):
                self.warnings.append(TimedWarning(self._engine.now(), message))
            case events.CatalogRefused(findings):
                self.catalog_errors = findings
            case events.CatalogChanged():
                self.catalog_errors = ()

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
        self._probes = {each: probe for each, probe in self._probes.items() if now - probe[0] < PROBE_S}
        if target not in self._probes:
            self._probes[target] = (now, asyncio.create_task(tcp_connect.listens(target, PROBE_TIMEOUT_S)))
        return self._probes[target][1]
