"""Ask the engine for what clients can ask for; what it answers goes into the history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from localqueue.core import events
from localqueue.core.models import JobFilter, QueueKey
from localqueue.engine.engine import Engine

Made = tuple[tuple[str, int, int], ...]


async def _enqueue(engine: Engine, key: QueueKey, data: bytes) -> str:
    return (await engine.enqueue(*key, data)).id


async def _cancel(engine: Engine, id_: str) -> str:
    return str((await engine.jobs.cancel(id_)).finished)


async def _retry(engine: Engine, id_: str) -> int:
    return (await engine.jobs.retry(id_)).round


async def _retry_failed(engine: Engine, key: QueueKey) -> int:
    return await engine.bulk.retry(JobFilter(*key))


async def _hold(engine: Engine, id_: str, is_held: bool) -> None:
    await engine.jobs.hold(id_, is_held)


async def _pause(engine: Engine, key: QueueKey) -> None:
    await engine.pause(*key)


async def _resume(engine: Engine, key: QueueKey) -> None:
    await engine.pause(*key, is_paused=False)


async def _advance(engine: Engine, ms: int, settle_ms: int) -> Made:
    return _made((await engine.advance(ms, settle_ms)).attempts)


async def _advance_to(engine: Engine, to_ms: int) -> Made:
    return _made((await engine.advance_to(to_ms)).attempts)


async def _advance_to_next(engine: Engine) -> Made:
    return _made((await engine.advance_to_next()).attempts)


async def _drain(engine: Engine, timeout_ms: int, settle_ms: int) -> tuple[bool, Made]:
    found = await engine.drain(timeout_ms, settle_ms)
    return found.stopped_by is None, _made(found.attempts)


async def _reset(engine: Engine) -> None:
    await engine.reset()


async def _stop(engine: Engine, grace: float) -> None:
    await engine.close(grace)


async def _look(engine: Engine) -> Any:
    """Return how many jobs each queue has by state, and the state of each job."""
    counts = {status.key: {str(state): n for state, n in status.counts.items()} for status in await engine.queues()}
    listed = await engine.jobs.page(JobFilter(limit=10_000))
    return counts, tuple((view.job.id, view.job.key, str(view.state)) for view in listed.jobs)


def _made(made: list[events.AttemptEnded]) -> Made:
    return tuple((event.job.id, event.attempt.round, event.attempt.number) for event in made)


VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "enqueue": _enqueue,
    "cancel": _cancel,
    "retry": _retry,
    "retry_failed": _retry_failed,
    "hold": _hold,
    "pause": _pause,
    "resume": _resume,
    "advance": _advance,
    "advance_to": _advance_to,
    "advance_to_next": _advance_to_next,
    "drain": _drain,
    "reset": _reset,
    "stop": _stop,
    "look": _look,
}
