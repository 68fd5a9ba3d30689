"""The deadline that every attempt and every body has, and the clock that runs."""

from __future__ import annotations

import asyncio

import pytest

from localqueue.core import real_time
from localqueue.core.clock import Deadline, WallClock, in_steps
from tests.support import run_async


async def hang() -> None:
    await asyncio.get_running_loop().create_future()


def test_a_block_that_is_not_left_in_time_ends_with_a_timeout_error() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with Deadline(0.001):
                await hang()
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    run_async(main())


def test_a_block_that_is_left_in_time_is_not_disturbed() -> None:
    async def main() -> None:
        async with Deadline(0.001):
            pass
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0.01))])

    run_async(main())


def test_a_block_that_was_left_is_not_disturbed_by_a_hold_and_a_release() -> None:
    """Rule deliver.hold."""

    async def main() -> None:
        deadline = Deadline(0.001)
        async with deadline:
            pass
        deadline.hold(True)
        deadline.hold(False)
        await asyncio.sleep(0.01)

    run_async(main())


def test_a_cancel_from_outside_stays_a_cancel_also_at_the_very_end_of_the_time() -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def work() -> None:
            async with Deadline(0):
                started.set()
                await hang()

        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run_async(main())


def test_an_error_in_a_block_is_passed_on() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with Deadline(60):
                raise ZeroDivisionError

    run_async(main())


def test_an_advance_moves_the_time_by_whole_milliseconds_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule time.advance."""
    for step in range(2000):
        system_s = 1_767_225_600 + step / 1000
        monkeypatch.setattr(real_time, "SYSTEM", (lambda now=system_s: now, lambda: 0.0, lambda _: None))
        clock = WallClock()
        before = clock.now()
        clock.advance(before + 100)
        assert clock.now() == before + 100


def test_other_tasks_run_while_many_items_are_handled() -> None:
    seen: list[int] = []

    async def watch(done: list[int]) -> None:
        while True:
            seen.append(len(done))
            await asyncio.sleep(0)

    async def main() -> None:
        done: list[int] = []
        watching = asyncio.create_task(watch(done))
        async for item in in_steps(range(10), size=4):
            done.append(item)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert done == list(range(10)) and {4, 8} <= set(seen) <= {4, 8, 10}

    run_async(main())
