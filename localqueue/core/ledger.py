"""Write the ledger: one line per attempt in starting order, with distances in time instead of times.

The same enqueues against the same answers give the same text, byte for byte: on the virtual clock nothing
in it depends on how fast the machine is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from localqueue.core.models import LedgerEntry, Outcome
from localqueue.core.text import safe
from localqueue.core.times import iso, offset


def as_text(entries: Sequence[LedgerEntry], start_ms: int) -> str:
    """Return the ledger for people: aligned columns, `+5.000s  process-claim#1  2/4  http_error 500  next +10.000s`."""
    names = _names(entries)
    rows = [_columns(entry, names[entry.job.key], start_ms) for entry in entries]
    widths = [max(len(row[column]) for row in rows) for column in range(5)] if rows else []
    return "".join(_line(row, widths) for row in rows)


def as_json_lines(entries: Iterable[LedgerEntry], start_ms: int) -> str:
    """Return the ledger for programs: an object a line."""
    return "".join(json.dumps(_as_json(entry, start_ms)) + "\n" for entry in entries)


def _names(entries: Iterable[LedgerEntry]) -> dict[tuple[str, str], str]:
    """Return what to call each queue: its name, with the namespace where two have the same."""
    keys = {entry.job.key for entry in entries}
    names = [name for _, name in keys]
    return {key: key[1] if names.count(key[1]) == 1 else "/".join(key) for key in keys}


def _columns(entry: LedgerEntry, name: str, start_ms: int) -> tuple[str, ...]:
    attempt = entry.attempt
    number = f"{attempt.number}/{attempt.max_attempts}"
    if attempt.round > 1:
        number += f" round {attempt.round}"
    started = offset(attempt.started_ms - start_ms)
    return (started, safe(f"{name}#{entry.job.number}"), number, _outcome(entry), _what_next(entry, start_ms))


def _outcome(entry: LedgerEntry) -> str:
    outcome = entry.attempt.outcome
    return _way(outcome) if outcome.injected is None else f"{_way(outcome)} (injected)"


def _way(outcome: Outcome) -> str:
    if outcome.status is not None:
        return f"{outcome.kind} {outcome.status}"
    if outcome.error is not None and outcome.error.code != outcome.kind:
        return f"{outcome.kind} {outcome.error.code}"
    return str(outcome.kind)


def _what_next(entry: LedgerEntry, start_ms: int) -> str:
    if entry.attempt.next_due_ms is not None:
        return f"next {offset(entry.attempt.next_due_ms - start_ms)}"
    return "failed" if entry.attempt.outcome.kind.is_counted else ""


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    rest = (text.ljust(width) for text, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join((row[0].rjust(widths[0]), *rest)).rstrip() + "\n"


def _as_json(entry: LedgerEntry, start_ms: int) -> dict[str, Any]:
    job, attempt = entry.job, entry.attempt
    error = attempt.outcome.error
    return {
        "offsetMs": attempt.started_ms - start_ms,
        "namespace": job.namespace,
        "queue": job.queue,
        "job": job.number,
        "jobId": job.id,
        "round": attempt.round,
        "number": attempt.number,
        "maxAttempts": attempt.max_attempts,
        "startedAt": iso(attempt.started_ms),
        "endedAt": iso(attempt.ended_ms),
        "outcome": attempt.outcome.kind.value,
        "status": attempt.outcome.status,
        "error": None if error is None else error.code,
        "injected": attempt.outcome.injected,
        "nextDueAt": None if attempt.next_due_ms is None else iso(attempt.next_due_ms),
    }
