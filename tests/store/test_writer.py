"""Writes share transactions, and what waits for a commit hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from localqueue.core.errors import StorageUnavailable
from localqueue.core.ids import uuid7
from localqueue.core.models import Job
from localqueue.store.store import BURST, Store
from tests.support import run_async

COUNT = 2 * BURST


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = await Store.open(folder / "queue.db", durable=False, keep=100)
    try:
        yield store
    finally:
        await store.close()


def job(seq: int) -> Job:
    return Job(seq, uuid7(0, bytes([seq] * 10)), "shop", "work", 0, 0)


def test_a_burst_is_over_before_anyone_acts_on_its_commit(tmp_path: Path) -> None:
    """Otherwise the dispatcher would wait for the next commit, which may never come."""

    async def scenario() -> None:
        async with opened(tmp_path) as store:
            committed = asyncio.Event()
            bursts: list[bool] = []

            async def look() -> None:
                await committed.wait()
                bursts.append(store.has_burst)

            looking = asyncio.create_task(look())
            await asyncio.sleep(0)  # it waits before the jobs do, so it is woken before them
            await asyncio.gather(*(store.insert(job(seq), b"1", then=committed.set) for seq in range(1, COUNT + 1)))
            await looking
            assert bursts == [False]

    run_async(scenario())


def test_a_burst_that_could_not_be_stored_is_over_as_well(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            await store.insert(job(1), b"1", then=lambda: None)
            again = [store.insert(job(1), b"1", then=lambda: None) for _ in range(COUNT)]
            errors = await asyncio.gather(*again, return_exceptions=True)
            assert {type(error) for error in errors} == {StorageUnavailable}
            assert not store.has_burst

    run_async(scenario())
