"""Find out which services listen on their targets; hold the jobs of those that don't yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events
from localqueue.core.models import OutcomeKind
from localqueue.core.settings import Settings
from localqueue.delivery import tcp_connect
from localqueue.engine.dispatcher import Dispatcher

PERIOD_S = 0.25


class ServiceWatch:
    """The services that have listened since the start, by namespace.

    A service may live for a fraction of a second. So a target is probed when a job arrives for it, when an attempt got
    a response, and every 250 ms until it has listened. With `--wait-for-service`, the jobs of a service wait until it
    listens first; with `--hold-while-down`, also after a connection was refused.
    """

    def __init__(self, active: ActiveCatalog, dispatcher: Dispatcher, hub: events.Hub, settings: Settings) -> None:
        self._active = active
        self._dispatcher = dispatcher
        self._hub = hub
        self._is_gating = settings.wait_for_service or settings.hold_while_down
        self._is_strict = settings.hold_while_down
        self._seen: set[str] = set()
        self._down: set[str] = set()
        self._waited_for: set[str] = set()
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Follow the events, and hold the jobs of every service until it listens, if that is wanted."""
        self._hub.add_for((events.AttemptEnded, events.Enqueued, events.CatalogChanged), self._observe)
        if self._is_gating:
            self._close(set(self._active.targets))

    async def refresh(self) -> None:
        """Probe now if the jobs of some service wait."""
        if self._down:
            await self.probe()

    def has_listened(self, namespace: str) -> bool:
        """Return whether something listened on the target of a namespace at some time."""
        return namespace in self._seen

    def _observe(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded):
            self._learn(event)
        elif isinstance(event, events.CatalogChanged):
            self._wake.set()
            if self._is_gating:
                self._close({name for name in self._active.targets if name not in self._seen})
        elif isinstance(event, events.Enqueued):
            self._wake.set()
            self._note_waiting(event.job.namespace)

    def _note_waiting(self, namespace: str) -> None:
        """Say once that jobs wait for a service."""
        target = self._active.targets.get(namespace)
        if namespace in self._down and namespace not in self._waited_for and target is not None:
            self._waited_for.add(namespace)
            self._hub(events.ServiceChanged(namespace, target, is_listening=False))

    def _learn(self, event: events.AttemptEnded) -> None:
        outcome, namespace = event.attempt.outcome, event.job.namespace
        if outcome.status is not None or outcome.kind is OutcomeKind.TIMEOUT:
            self._seen.add(namespace)
        elif self._is_strict and outcome.error is not None and outcome.error.code == "connect_refused":
            self._close({*self._down, namespace})
            self._note_waiting(namespace)

    async def run(self) -> None:
        """Probe the targets while one of them hasn't listened yet, or doesn't, until cancelled."""
        while True:
            self._wake.clear()
            is_waiting = self._is_waiting()
            if is_waiting:
                await self.probe()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S if is_waiting else None):
                    await self._wake.wait()

    def _is_waiting(self) -> bool:
        return bool(self._down) or any(namespace not in self._seen for namespace in self._active.targets)

    async def probe(self) -> Mapping[str, bool]:
        """Return by namespace whether something listens on each target now; start the jobs of those that do."""
        services = self._active.catalog.services
        states = await asyncio.gather(*(tcp_connect.listens(service.target) for service in services))
        listening = {service.namespace: state for service, state in zip(services, states, strict=True)}
        self._seen |= {namespace for namespace, state in listening.items() if state}
        if self._is_gating:
            self._close(self._down - {namespace for namespace, state in listening.items() if state})
        return listening

    def _close(self, down: set[str]) -> None:
        """Hold the jobs of these namespaces, and of no others."""
        changed = down ^ self._down
        self._down = down
        if changed:
            self._dispatcher.gate(down)
            self._wake.set()
        for namespace in sorted(self._waited_for - down):
            self._waited_for.discard(namespace)
            if (target := self._active.targets.get(namespace)) is not None:
                self._hub(events.ServiceChanged(namespace, target, is_listening=True))
