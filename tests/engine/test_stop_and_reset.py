"""What a stop and a reset of the dispatcher wait for, and what they leave."""

from __future__ import annotations

import asyncio

import pytest

from localqueue.core.errors import StorageUnavailable
from tests.engine.bench import TARGETS, A, B, Bench, job, play, queue, turns


def test_a_reset_cuts_attempts_off_and_forgets_every_job_and_every_slot() -> None:
    """Rule reset.state."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=2))
        dispatcher, wiped = bench.dispatcher, asyncio.Event()
        await bench.run(job(1), job(2, due_ms=90))
        dispatcher.occupy_slot(A, 1000)

        async def wipe() -> None:
            assert bench.recorded == [(1, "interrupted")] and dispatcher.running == {}
            assert not dispatcher.claim(job(2)) and dispatcher.is_ending
            bench.store.jobs.clear()
            dispatcher.offer(job(7))  # it belongs to the time after the reset
            bench.store.put(job(7))
            assert not dispatcher.start_due() and dispatcher.next_due() is None
            wiped.set()

        await dispatcher.clear(wipe)
        assert wiped.is_set() and not dispatcher.is_ending and dispatcher.last_occupied() == 0
        loads = len(bench.store.loads)
        await bench.run()
        assert bench.started == [1, 7] and len(bench.store.loads) == loads
        await bench.stop()

    play(main())


def test_what_arrives_during_a_reset_starts_by_itself_afterwards() -> None:
    """Rule reset.state."""

    async def main() -> None:
        bench = Bench(queue(A))
        loop = asyncio.create_task(bench.dispatcher.run())
        await bench.dispatcher.wait_loaded()

        async def wipe() -> None:
            bench.dispatcher.offer(job(1))
            await turns()

        await bench.dispatcher.clear(wipe)
        await turns()
        assert bench.started == [1]
        await bench.stop()
        await loop

    play(main())


def test_a_reset_that_fails_leaves_every_job_and_slot() -> None:
    """Rule reset.state."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=2))
        dispatcher = bench.dispatcher
        await bench.ready(job(2, due_ms=90))
        dispatcher.start_due()
        dispatcher.occupy_slot(A, 1000)

        async def wipe() -> None:
            raise StorageUnavailable("full")

        with pytest.raises(StorageUnavailable):
            await dispatcher.clear(wipe)
        assert not dispatcher.is_ending and dispatcher.last_occupied() == 1000
        assert not dispatcher.is_idle
        await dispatcher.wait_loaded()
        assert dispatcher.next_due() == 90
        await bench.stop()

    play(main())


def test_a_reset_waits_for_jobs_that_are_being_changed_and_for_loads() -> None:
    """Rule reset.state."""

    async def main() -> None:
        bench = Bench()
        bench.store.may_read.clear()
        bench.store.put(job(1))
        assert bench.dispatcher.claim(job(2))
        bench.dispatcher.start_due()
        wiped: list[bool] = []

        async def wipe() -> None:
            wiped.append(True)
            bench.store.jobs.clear()

        reset = asyncio.create_task(bench.dispatcher.clear(wipe))
        await turns()
        bench.dispatcher.release(job(2), job(2))
        await turns()
        assert not wiped
        bench.store.may_read.set()
        await reset
        await bench.run()
        assert wiped and bench.started == []
        await bench.stop()

    play(main())


def test_a_stop_gives_attempts_their_time_and_records_the_rest_as_interrupted() -> None:
    """Rule deliver.interrupted."""

    async def main() -> None:
        bench = Bench()
        loop = asyncio.get_running_loop()
        await bench.run(job(1), job(2))
        loop.call_later(3, bench.respond, 1)
        stopping = asyncio.create_task(bench.dispatcher.stop(5))
        await turns()
        assert bench.dispatcher.is_stopping and bench.dispatcher.is_ending
        bench.dispatcher.offer(job(3))
        assert not bench.dispatcher.start_due()
        began = loop.time()
        await stopping
        assert loop.time() - began == pytest.approx(5)
        assert bench.recorded == [(1, "completed"), (2, "interrupted")]

    play(main())


def test_a_stop_ends_with_the_last_attempt_or_when_the_grace_is_skipped() -> None:
    async def main() -> None:
        for skipping in (False, True):
            bench = Bench()
            loop = asyncio.get_running_loop()
            await bench.run(job(1))
            loop.call_later(2, bench.dispatcher.skip_grace if skipping else bench.respond, *(() if skipping else (1,)))
            began = loop.time()
            await bench.dispatcher.stop(60)
            assert loop.time() - began == pytest.approx(2)
            assert bench.recorded == [(1, "interrupted" if skipping else "completed")]
            await bench.dispatcher.stop(60)
            assert loop.time() - began == pytest.approx(2)

    play(main())


def test_a_stop_waits_for_a_load_and_starts_no_other() -> None:
    async def main() -> None:
        bench = Bench(queue(A))
        bench.store.may_read.clear()
        bench.dispatcher.start_due()
        stopping = asyncio.create_task(bench.dispatcher.stop(1))
        await turns()
        assert not stopping.done()
        bench.store.may_read.set()
        await stopping
        bench.dispatcher.configure({A: queue(A), B: queue(B)}, TARGETS)
        await bench.dispatcher.wait_loaded()
        assert [key for key, _, _ in bench.store.loads] == [A]

    play(main())
