"""Attempts that are cut off, and those whose outcome is in before that."""

from __future__ import annotations

import asyncio

from localqueue.core.models import JobState, OutcomeKind
from localqueue.engine.running_attempts import AttemptBatch
from tests.engine.bench import A, Bench, job, play, queue, turns


def test_an_attempt_that_is_cut_off_before_its_request_sends_none() -> None:
    """Rule states.cancelled."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1))
        bench.dispatcher.start_due()
        await bench.dispatcher.cut_off(1, OutcomeKind.CANCELLED)
        assert (bench.requests, bench.recorded) == ({}, [(1, "cancelled")])
        assert bench.store.recorded[0][1].finished is JobState.CANCELLED
        await bench.stop()

    play(main())


def test_an_outcome_that_is_in_is_stored_though_the_attempt_is_cut_off_then() -> None:
    """Rule states.cancelled."""

    async def main() -> None:
        bench = Bench()
        await bench.run(job(1))
        bench.store.may_write.clear()
        bench.respond(1)
        await turns()
        cut = asyncio.create_task(bench.dispatcher.cut_off(1, OutcomeKind.CANCELLED))
        await turns()
        bench.store.may_write.set()
        await cut
        assert bench.recorded == [(1, "completed")]
        await bench.stop()

    play(main())


def test_the_first_cut_counts() -> None:
    async def main() -> None:
        bench = Bench()
        cancellations: list[int] = []
        bench.store.at_record = lambda: cancellations.append(asyncio.current_task().cancelling())  # type: ignore[union-attr]
        await bench.run(job(1))
        attempt = bench.dispatcher.running[1]
        assert attempt.cut_off(OutcomeKind.CANCELLED) is attempt.cut_off(OutcomeKind.INTERRUPTED) is attempt.task
        await turns()
        assert bench.recorded == [(1, "cancelled")] and cancellations == [0]
        await bench.stop()

    play(main())


def test_an_attempt_that_is_cut_off_does_not_wait_for_the_rest_of_its_batch() -> None:
    """Rule states.cancelled."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1), job(2))
        bench.dispatcher.start_due(AttemptBatch())
        await turns()
        bench.respond(2)
        await turns()
        assert bench.recorded == []
        await bench.dispatcher.cut_off(2, OutcomeKind.CANCELLED)
        assert bench.recorded == [(2, "completed")]
        await bench.dispatcher.cut_off(1, OutcomeKind.INTERRUPTED)
        assert bench.recorded == [(2, "completed"), (1, "interrupted")]
        await bench.stop()

    play(main())


def test_an_attempt_whose_outcome_is_in_survives_a_hold_and_a_release() -> None:
    """Rule deliver.hold."""

    async def main() -> None:
        bench = Bench(queue(A, timeout_ms=500))
        await bench.run(job(1))
        bench.store.may_write.clear()
        bench.respond(1)
        await turns()
        deadline = bench.dispatcher.running[1].deadline
        assert deadline is not None
        deadline.hold(True)
        deadline.hold(False)
        await asyncio.sleep(60)
        bench.store.may_write.set()
        await turns()
        assert bench.recorded == [(1, "completed")]
        await bench.stop()

    play(main())


def test_a_cancellation_from_elsewhere_ends_the_task_and_frees_the_slot() -> None:
    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        await bench.run(job(1), job(2))
        attempt = bench.dispatcher.running[1]
        assert attempt.task is not None
        attempt.task.cancel()
        await turns()
        assert attempt.task.cancelled() and bench.recorded == []
        assert bench.dispatcher.next_due() == 0
        await bench.stop()

    play(main())
