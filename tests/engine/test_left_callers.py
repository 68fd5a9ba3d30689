"""A caller that leaves takes nothing with it, and what fails afterwards is nobody's traceback."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from localqueue.core.clock import VirtualClock
from localqueue.core.errors import StorageUnavailable
from localqueue.store.store import Store
from tests.support import run_async, running_engine, write_catalog

HOUR_MS = 3_600_000


def test_a_disk_that_fails_after_the_caller_of_advance_left_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_saving = asyncio.Event()

    async def save_never(*_: object) -> None:
        is_saving.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise StorageUnavailable("the database can't be written: disk I/O error")

    async def scenario() -> list[dict[str, Any]]:
        unretrieved: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unretrieved.append(context))
        async with running_engine(write_catalog(tmp_path), VirtualClock(0)) as engine:
            with monkeypatch.context() as patch:
                patch.setattr(Store, "save", save_never)
                advancing = asyncio.create_task(engine.advance(HOUR_MS))
                await is_saving.wait()
                advancing.cancel()
                await asyncio.wait([advancing])
            gc.collect()
        return unretrieved

    assert run_async(scenario()) == []
