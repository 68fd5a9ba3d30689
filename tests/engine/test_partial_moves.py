"""Moves of time that run a part of what could run: one attempt, the jobs of a queue, as much as fits into a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localqueue.core.clock import VirtualClock, WallClock
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import Outcome, OutcomeKind, Response
from localqueue.testing.local_queue import LocalQueue
from tests.support import run_async, running_engine, write_catalog

CATALOG = {
    "metadata": {"name": "shop"},
    "spec": {"queues": [{"name": name, "endpoint": f"/{name}", "retries": 1} for name in ("work", "other")]},
}


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalQueue]:
    with LocalQueue(CATALOG) as queue:
        yield queue


@pytest.fixture
def queue(shared: LocalQueue) -> Iterator[LocalQueue]:
    shared.worker("work").always(200)
    shared.worker("other").always(200)
    yield shared
    shared.reset()


def states(queue: LocalQueue) -> list[str]:
    return [job.state for job in queue.jobs()]


def test_a_step_runs_the_attempt_that_starts_next_at_its_due_time(queue: LocalQueue) -> None:
    """Rule time.step."""
    queue.worker("work").replies(500)
    queue.enqueue("work")
    queue.enqueue("other")
    queue.enqueue("work")
    started = queue.now
    made: list[tuple[str, int, float]] = []
    while found := queue.step():
        made += [(each.queue, each.number, (each.started_at - started).total_seconds()) for each in found]
        assert len(found) == 1
    assert made == [("work", 1, 0.0), ("other", 1, 0.0), ("work", 1, 0.0), ("work", 2, 5.0)]
    assert states(queue) == ["completed"] * 3


def test_a_step_leaves_the_other_due_jobs_as_they_were(queue: LocalQueue) -> None:
    """Rule time.step."""
    for _ in range(8):  # more than the slots of the queue
        queue.enqueue("work")
    queue.step()
    assert states(queue) == ["completed"] + ["queued"] * 7
    assert len(queue.advance("0s")) == 7
    assert [line.split()[1] for line in queue.ledger().splitlines()] == [f"work#{number}" for number in range(1, 9)]


def test_a_step_needs_the_virtual_clock(tmp_path: Path) -> None:
    """Rule time.step."""

    async def main() -> None:
        async with running_engine(write_catalog(tmp_path), WallClock()) as engine:
            with pytest.raises(InvalidRequest, match="virtual clock"):
                await engine.step()

    run_async(main())


def test_the_jobs_of_one_queue_are_drained_while_the_others_wait(queue: LocalQueue) -> None:
    """Rule time.drain-queue."""
    queue.worker("work").replies(500)
    queue.enqueue("other")
    queue.enqueue("work")
    assert [(each.queue, each.number) for each in queue.drain(queue="work")] == [("work", 1), ("work", 2)]
    assert states(queue) == ["queued", "completed"]
    assert [each.queue for each in queue.drain()] == ["other"]


def test_a_drain_of_one_queue_that_is_cut_short_leaves_the_others_running(queue: LocalQueue) -> None:
    """Rule time.drain-queue."""

    def forever(request: Any) -> int:
        queue.enqueue("work")
        return 200

    queue.worker("work").always(forever)
    queue.enqueue("work")
    queue.enqueue("other")
    with pytest.raises(AssertionError, match="unfinished after 50ms"):
        queue.drain(queue="work", timeout="50ms")
    queue.worker("work").always(200)
    queue.drain()
    assert set(states(queue)) == {"completed"}


def test_a_handler_that_enqueues_into_its_own_queue_does_not_hold_advance_for_ever(queue: LocalQueue) -> None:
    """Rule time.bound."""

    def again(request: Any) -> int:
        queue.enqueue("work")
        return 200

    queue.worker("work").always(again)
    queue.enqueue("work")
    with pytest.raises(AssertionError, match="was still running jobs after 50ms"):
        queue.advance("0s", timeout="50ms")


@pytest.mark.parametrize("how", ["cancel", "pause", "reset"])
@pytest.mark.parametrize("move", ["advance", "step"])
def test_the_due_time_of_a_job_that_no_longer_waits_is_forgotten(queue: LocalQueue, how: str, move: str) -> None:
    """Rule time.to-next, time.step."""
    queue.worker("work").replies(500)
    job, started = queue.enqueue("work"), queue.now
    queue.advance(seconds=0)
    assert states(queue) == ["retrying"]
    act = {"cancel": lambda: queue.cancel(job), "pause": lambda: queue.pause("work"), "reset": queue.reset}
    act[how]()
    made = queue.advance(to="next") if move == "advance" else queue.step()
    assert (made, queue.now) == ([], started)


def test_a_scripted_duration_passes_on_the_virtual_clock_and_keeps_its_slot(tmp_path: Path) -> None:
    """Rule time.simulated."""

    class Slow:
        def begin(self, queue: Any) -> Any:
            async def send(request: Any) -> Outcome:
                return Outcome(OutcomeKind.COMPLETED, 200, simulated_ms=3000)

            return send

    async def main() -> None:
        catalog = write_catalog(tmp_path, concurrency=1)
        async with running_engine(catalog, VirtualClock(0), Slow()) as engine:
            for _ in range(2):
                await engine.enqueue("shop", "work", b"null")
            made = (await engine.drain()).attempts
            assert [(each.attempt.started_ms, each.attempt.ended_ms) for each in made] == [(0, 3000), (3000, 6000)]
            assert engine.now() == 6000

    run_async(main())


def test_a_move_does_not_keep_the_responses_of_its_attempts(tmp_path: Path) -> None:
    class Talkative:
        def begin(self, queue: Any) -> Any:
            async def send(request: Any) -> Outcome:
                return Outcome(OutcomeKind.COMPLETED, 200, response=Response((), b"x" * 65_536, False))

            return send

    async def main() -> None:
        async with running_engine(write_catalog(tmp_path), VirtualClock(0), Talkative()) as engine:
            job = await engine.enqueue("shop", "work", b"null")
            made = (await engine.drain()).attempts
            assert [each.attempt.outcome for each in made] == [Outcome(OutcomeKind.COMPLETED, 200)]
            stored = await engine.jobs.details(job)
            assert stored.attempts is not None and stored.attempts[0].outcome.response is not None

    run_async(main())
