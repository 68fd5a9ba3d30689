"""Rehearse a crash: end this process as kill -9 would, and say after the restart what is delivered again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localqueue.core import crashpoint
from localqueue.core.text import counted
from localqueue.engine.running_attempts import RunningAttempt
from localqueue.store import files
from localqueue.store.store import Store

SHOWN = 3
"""How many jobs the report names."""


def arm(point: str, db: Path, running: Mapping[int, RunningAttempt]) -> None:
    """End the process at this point; what was running is written beside the database. Raises ValueError."""

    def end(_: str) -> None:
        attempts = [
            {"id": attempt.job.id, "round": attempt.job.round, "attempt": attempt.job.attempt}
            for attempt in list(running.values())
        ]
        files.write_private(_path(db), json.dumps({"point": point, "attempts": attempts}))
        os.kill(os.getpid(), signal.SIGKILL)

    crashpoint.arm(point, end)


async def take_report(db: Path, store: Store) -> str:
    """Return what a rehearsed crash has left to be delivered again, once; "" if there was none."""
    path = _path(db)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return ""
    with contextlib.suppress(OSError):
        path.unlink()
    again = [text for attempt in content["attempts"] if (text := await _again(attempt, store))]
    return _report(content["point"], again)


def _path(db: Path) -> Path:
    return db.with_name(f"{db.name}.crash")


async def _again(attempt: Mapping[str, Any], store: Store) -> str:
    """Return what runs again, or "" if the result of the attempt was stored after all."""
    job = await store.queries.job(attempt["id"])
    if (
        job is None
        or job.finished is not None
        or (job.round, job.next_number) != (attempt["round"], attempt["attempt"])
    ):
        return ""
    return f"{job.namespace}/{job.queue} {job.short_id} (attempt {attempt['attempt']})"


def _report(point: str, again: list[str]) -> str:
    begin = f"the previous run crashed at {point}, as --crash-at says"
    if not again:
        return f"{begin}; no attempt was running, so none is repeated"
    rest = f" and {counted(len(again) - SHOWN, 'more job', 'more jobs')}" if len(again) > SHOWN else ""
    return (
        f"{begin}; delivered again, because no result was stored: {', '.join(again[:SHOWN])}{rest}. "
        f"The service may have processed {'it' if len(again) == 1 else 'them'} already"
    )
