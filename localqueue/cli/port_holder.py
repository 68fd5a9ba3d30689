"""Ask a port that is in use whether another localqueue holds it."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from localqueue.client.connect import connect
from localqueue.core.addresses import LOOPBACK
from localqueue.core.errors import ClientError, PortInUse
from localqueue.core.text import safe

WAIT_S = 1.0
"""How long the holder of a port may take to respond, in all."""


def described(error: PortInUse) -> str:
    """Return the message of the error, with the pid and the database of a localqueue that holds the port."""
    status = _ask(error.host, error.port) if error.host in LOOPBACK else {}
    try:
        pid, db = int(status["pid"]), safe(str(status["storage"]["path"]), 300)
    except (LookupError, TypeError, ValueError):
        return error.message
    return f"{error.message} by another localqueue, pid {pid}, database {db}"


def _ask(host: str, port: int) -> dict[str, Any]:
    """Return the status of a localqueue, or nothing; a thread, because a server may send a byte now and then."""
    status: dict[str, Any] = {}

    def ask() -> None:
        with (
            contextlib.suppress(ClientError),
            connect(f"http://{f'[{host}]' if ':' in host else host}:{port}", timeout_s=WAIT_S) as client,
        ):
            status.update(client.check())

    thread = threading.Thread(target=ask, name="port holder", daemon=True)
    thread.start()
    thread.join(WAIT_S)
    return status
