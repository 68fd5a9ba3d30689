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


class Tracked(sqlite3.Connection):
    """A connection that remembers its closing."""

    opened: list[Tracked]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_closed = False
        Tracked.opened.append(self)

    def close(self) -> None:
        super().close()
        self.is_closed = True


def test_a_connection_whose_opening_is_cancelled_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "queue.db"
    sqlite3.connect(path).close()
    Tracked.opened = []
    began, may_end, connect = threading.Event(), threading.Event(), sqlite3.connect

    def slow(*arguments: Any, **options: Any) -> sqlite3.Connection:
        began.set()
        may_end.wait(30)
        return connect(*arguments, **options, factory=Tracked)

    monkeypatch.setattr(sqlite3, "connect", slow)

    async def check() -> None:
        opening = asyncio.create_task(connections.open_reader(path))
        await asyncio.to_thread(began.wait, 30)
        opening.cancel()
        asyncio.get_running_loop().call_soon(may_end.set)
        with pytest.raises(asyncio.CancelledError):
            await opening

    run_async(check())
    assert [connection.is_closed for connection in Tracked.opened] == [True]
