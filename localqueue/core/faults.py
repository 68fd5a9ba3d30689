"""The words of scripted outcomes: `ok`, a status, `timeout`, `reset`, `refuse`, `slow=MS`, `lost-ack`."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from localqueue.core.models import AttemptError, Outcome, OutcomeKind
from localqueue.core.numbers import as_int
from localqueue.core.records import record
from localqueue.core.text import nearest, safe
from localqueue.core.times import DAY_MS, duration

LOWEST_STATUS, HIGHEST_STATUS = 200, 999


class FaultKind(enum.StrEnum):
    """The kind of a scripted outcome. The service is called only for `slow` and `lost-ack`."""

    OK = "ok"
    STATUS = "status"
    TIMEOUT = "timeout"
    RESET = "reset"
    REFUSE = "refuse"
    SLOW = "slow"
    LOST_ACK = "lost-ack"


@record
class Fault:
    """A scripted outcome of an attempt; `value` is its status, or how much later in ms the response comes."""

    kind: FaultKind
    value: int = 0

    def __str__(self) -> str:
        if self.kind is FaultKind.STATUS:
            return str(self.value)
        return f"slow={self.value}" if self.kind is FaultKind.SLOW else self.kind.value


WORDS = ("ok", "503", "timeout", "reset", "refuse", "slow=250", "lost-ack")
"""An example of every kind, for messages and help."""
_PLAIN = {kind.value: Fault(kind) for kind in FaultKind if kind not in (FaultKind.STATUS, FaultKind.SLOW)}


TIMEOUT = _PLAIN["timeout"]
_ERRORS = {
    FaultKind.RESET: AttemptError("connection_reset", "the connection was reset (scripted)"),
    FaultKind.REFUSE: AttemptError("connect_refused", "connection refused (scripted)"),
}


def outcome_without_service(fault: Fault, timeout_ms: int) -> Outcome:
    """Return the outcome of an attempt for which the service isn't called."""
    if fault.kind is FaultKind.TIMEOUT:
        error = AttemptError("timeout", f"timed out after {duration(timeout_ms)} (scripted)")
        return Outcome(OutcomeKind.TIMEOUT, None, error)
    if fault.kind in _ERRORS:
        return Outcome(OutcomeKind.CONNECTION_ERROR, None, _ERRORS[fault.kind])
    status = fault.value or 200
    if status < 300:
        return Outcome(OutcomeKind.COMPLETED, status)
    return Outcome(
        OutcomeKind.HTTP_ERROR, status, AttemptError(f"http_{status}", f"the service responded {status} (scripted)")
    )


def parse_fault(word: object) -> Fault:
    """Return the outcome that a word or a status means. Raises ValueError, naming the nearest word."""
    status = as_int(word)
    text = word if status is None else str(status)
    if isinstance(text, str):
        if text in _PLAIN:
            return _PLAIN[text]
        is_slow, value = text.startswith("slow="), text.removeprefix("slow=")
        if value.isascii() and value.isdigit() and len(value) < 9:
            if is_slow and int(value) <= DAY_MS:
                return Fault(FaultKind.SLOW, int(value))
            if not is_slow and LOWEST_STATUS <= int(value) <= HIGHEST_STATUS:
                return Fault(FaultKind.STATUS, int(value))
        near = nearest(text, WORDS)[0]
        raise ValueError(f"unknown outcome {safe(text)!r}; did you mean {near}? Known: {', '.join(WORDS)}")
    raise ValueError(f"an outcome must be a word or a status, not {safe(repr(word), 60)}; known: {', '.join(WORDS)}")


def parse_faults(words: Iterable[object]) -> tuple[Fault, ...]:
    """Return the outcomes of words. Raises ValueError for the first wrong one."""
    return tuple(parse_fault(word) for word in words)
