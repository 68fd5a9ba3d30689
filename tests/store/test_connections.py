"""Connections to the database file, and that none is left open."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from localqueue.store import connections
from tests.support import run_async

connect = sqlite3.connect


@pytest.mark.parametrize("is_open", [False, True], ids=["before it is open", "when it is open"])
def test_a_connection_whose_opening_is_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    path = tmp_path / "queue.db"
    connect(path).close()
    opened: list[sqlite3.Connection] = []
    began, may_go_on, is_made = threading.Event(), threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> sqlite3.Connection:
        if is_open:
            opened.append(connect(*arguments, **options))
        began.set()
        may_go_on.wait(30)
        if not is_open:
            opened.append(connect(*arguments, **options))
        is_made.set()
        return opened[0]

    async def check() -> None:
        monkeypatch.setattr(sqlite3, "connect", slow)
        opening = asyncio.create_task(connections.open_reader(path))
        await asyncio.to_thread(began.wait, 30)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        may_go_on.set()
        assert await asyncio.to_thread(is_made.wait, 30)

    run_async(check())
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")
