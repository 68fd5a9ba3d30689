"""Continue where an earlier run stopped."""

from __future__ import annotations

from pathlib import Path

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core.clock import Clock
from localqueue.core.errors import DatabaseUnusable
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.enqueuer import Enqueuer
from localqueue.store.store import Store


async def recover(
    path: Path, active: ActiveCatalog, clock: Clock, store: Store, dispatcher: Dispatcher, enqueuer: Enqueuer
) -> int:
    """Restore sequence, pauses, time and taken slots from disk; return the start of the ledger's time, in ms.

    Raises DatabaseUnusable where the file was made on the other clock.
    """
    facts, last_time = await store.facts(), await store.last_time()
    _check_clock(path, facts.get("clock", "wall" if last_time else clock.mode), clock.mode)
    enqueuer.restore(await store.last_seq() + 1, await store.numbers())
    active.restore_pauses(await store.pauses())
    if clock.mode == "wall":
        await _clamp_due_times(active, store, clock.now())
        return clock.now()
    start_ms = int(facts.get("start_ms", clock.now()))
    clock.advance(max(int(facts.get("now_ms", 0)), last_time))
    for key, until_ms in await store.timeouts(clock.now()):
        dispatcher.occupy_slot(key, until_ms)
    return start_ms


def _check_clock(path: Path, made_on: str, mode: str) -> None:
    if made_on != mode:
        raise DatabaseUnusable(
            f"{path} was created with the {made_on} clock and can't be used with the {mode} clock",
            f"Start with --clock {made_on}, or use another file: --db PATH",
        )


async def _clamp_due_times(active: ActiveCatalog, store: Store, now_ms: int) -> None:
    """Bring due times closer that lie too far ahead: the system clock was set back meanwhile."""
    await store.clamp_due({key: now_ms + queue.retry_delay_ms for key, queue in active.queues.items()})
