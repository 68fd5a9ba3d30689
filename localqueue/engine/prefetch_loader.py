"""Fill prefetch windows from disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import StorageUnavailable
from localqueue.engine.prefetch import SMALL_PAYLOAD, DispatchOrder, PendingJob, PrefetchWindow
from localqueue.engine.queue_state import QueueState
from localqueue.engine.task_set import TaskSet
from localqueue.store.store import Store

RETRY_S = 1.0
"""How long to wait before the next try to read what could not be read."""


class PrefetchLoader:
    """The loads that are running; `on_loaded` is called with the queue at the end of each."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        report: events.Report,
        on_loaded: Callable[[QueueState], None],
        failure: asyncio.Future[None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._report = report
        self._on_loaded = on_loaded
        self._loads = TaskSet(failure)

    @property
    def is_loading(self) -> bool:
        """Return whether a load is running."""
        return bool(self._loads)

    def fill(self, state: QueueState) -> None:
        """Read the next jobs of a queue if there may be more and few are left in memory."""
        if state.needs_load:
            self._loads.spawn(self._load(state, state.window, *state.window.begin_load()))

    async def wait(self) -> None:
        """Return when the running loads have ended."""
        await self._loads.wait()

    async def _load(self, state: QueueState, window: PrefetchWindow, after: DispatchOrder, limit: int) -> None:
        try:
            rows = await self._store.pending(state.key, after, limit, SMALL_PAYLOAD)
            window.end_load([PendingJob(job, data) for job, data in rows])
        except StorageUnavailable as error:
            self._report(events.Warned(error.message))
            await self._clock.sleep(RETRY_S)
            window.fail_load()
        self._on_loaded(state)
