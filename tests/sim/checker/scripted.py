"""Say how an attempt with a scripted outcome may end. The words are those of docs/semantics.md."""

from __future__ import annotations

from tests.sim.history import Row

UNKNOWN = "?"
"""The word of an attempt where it can't be told whether a reset came before or after the script."""


def calls_service(word: str | None) -> bool:
    """Return whether the service is called for an attempt with this word."""
    return word is None or word in (UNKNOWN, "lost-ack") or word.startswith("slow=")


def slow_ms(word: str | None) -> int:
    """Return how much later the response is said to come."""
    return int(word.removeprefix("slow=")) if word is not None and word.startswith("slow=") else 0


def may_end(word: str, row: Row, answer: str | None, timeout_ms: int, is_virtual: bool) -> bool:
    """Return whether an attempt may have ended like this; `answer` is what the service did, if it was called."""
    if not calls_service(word):
        return (row.outcome, row.status) == _without_service(word)
    own = "timeout" if answer == "gone" else answer
    if word == "lost-ack":
        is_lost = own in ("completed", "http_error")
        return (row.outcome, row.status) == ("connection_error" if is_lost else own, None)
    if slow_ms(word) >= timeout_ms:
        return row.outcome == "timeout"
    return row.outcome == own or (row.outcome == "timeout" and not is_virtual)  # together they may take too long


def _without_service(word: str) -> tuple[str, int | None]:
    if word == "timeout":
        return "timeout", None
    if word in ("reset", "refuse"):
        return "connection_error", None
    status = 200 if word == "ok" else int(word)
    return "completed" if status < 300 else "http_error", status
