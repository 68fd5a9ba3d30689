"""Remember what a look at the server should show: the latest warnings, a refused catalog, who listens."""

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
"""How old the answer to `does it listen?` may be."""
PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Noted:
    """Hold a warning and when it came, in ms."""

    at_ms: int
    message: str


class StatusTracker:
    """Listen to the engine, and ask targets whether they listen, when somebody wants to know."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began = asyncio.get_running_loop().time()
        self._probes: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self.warnings: deque[Noted] = deque(maxlen=WARNINGS)
        self.refused: tuple[Finding, ...] = ()
        engine.hub.add_for((events.Warned, events.CatalogRefused, events.CatalogChanged), self._take)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Warned(message):
                self.warnings.append(Noted(self._engine.now(), message))
            case events.CatalogRefused(findings):
                self.refused = findings
            case events.CatalogChanged():
                self.refused = ()

    @property
    def uptime_ms(self) -> int:
        """Return for how long the server has been up, in ms of real time."""
        return round((asyncio.get_running_loop().time() - self._began) * 1000)

    async def listening(self, targets: Iterable[str]) -> dict[str, bool]:
        """Return of each target whether it accepts connections; each is asked at most every few seconds."""
        found = {target: self._probe(target) for target in targets}
        return {target: await asyncio.shield(probe) for target, probe in found.items()}

    def _probe(self, target: str) -> asyncio.Task[bool]:
        now = asyncio.get_running_loop().time()
        self._probes = {each: found for each, found in self._probes.items() if now - found[0] < PROBE_S}
        if target not in self._probes:
            self._probes[target] = (now, asyncio.create_task(tcp_connect.listens(target, PROBE_TIMEOUT_S)))
        return self._probes[target][1]
