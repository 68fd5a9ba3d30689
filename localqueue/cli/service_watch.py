"""Find out whether a service has ever listened on its target while COMMAND runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from localqueue.core import events
from localqueue.core.models import OutcomeKind
from localqueue.delivery import tcp_connect
from localqueue.engine.engine import Engine

PERIOD_S = 0.25


class ServiceWatch:
    """The services that have listened since the start, by namespace.

    A service may live inside COMMAND for a fraction of a second. So a target is probed when a job arrives for it, when
    an attempt got a response, and every 250 ms.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._wake = asyncio.Event()

    def has_listened(self, namespace: str) -> bool:
        """Return whether something listened on the target of a namespace at some time."""
        return namespace in self._seen

    def observe(self, event: events.Event) -> None:
        """Learn from an event of the engine."""
        if isinstance(event, events.AttemptEnded):
            outcome = event.attempt.outcome
            if outcome.status is not None or outcome.kind is OutcomeKind.TIMEOUT:
                self._seen.add(event.job.namespace)
        elif isinstance(event, events.Enqueued):
            self._wake.set()

    async def run(self, engine: Engine) -> None:
        """Probe the targets that haven't listened yet, until cancelled."""
        while True:
            await self.probe(engine)
            self._wake.clear()
            try:
                async with asyncio.timeout(PERIOD_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def probe(self, engine: Engine) -> Mapping[str, bool]:
        """Return by namespace whether something listens on each target now."""
        services = engine.catalog.services
        states = await asyncio.gather(*(tcp_connect.listens(service.target) for service in services))
        listening = {service.namespace: state for service, state in zip(services, states, strict=True)}
        self._seen |= {namespace for namespace, state in listening.items() if state}
        return listening
