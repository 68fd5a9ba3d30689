"""Faults of this process are no attempts."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.delivery import tcp_connect
from tests.support import run_async, running_engine, working, write_catalog


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_a_delivery_without_a_free_descriptor_or_port_is_no_attempt_and_waits(tmp_path: Path, code: int) -> None:
    """Rule deliver.own-faults."""
    warnings: list[str] = []
    failures = iter([True] * 5)
    real = socket.socket

    class Unconnectable(real):
        def connect(self, address: Any) -> None:
            raise OSError(code, os.strerror(code))

    def limited(*arguments: Any) -> socket.socket:
        if not next(failures, False):
            return real(*arguments)
        if code == errno.EADDRNOTAVAIL:
            return Unconnectable(*arguments)
        raise OSError(code, os.strerror(code))

    sockets = SimpleNamespace(**{**vars(socket), "socket": limited})

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Warned):
            warnings.append(event.message)

    async def main() -> None:
        async with running_engine(write_catalog(tmp_path, retries=0), VirtualClock(0)) as engine:
            engine.change_target("shop", worker.url)
            for _ in range(3):
                await engine.enqueue("shop", "work", b"null")
            with engine.hub.listening(listen), mock.patch.object(tcp_connect, "socket", sockets):
                assert (await engine.drain(10_000)).stopped_by is None
            ledger = await engine.ledger()
            assert [(entry.attempt.number, entry.attempt.outcome.status) for entry in ledger] == [(1, 200)] * 3

    with working() as worker:
        run_async(main())
    assert warnings == [f"can't connect to services: {os.strerror(code)}"]
