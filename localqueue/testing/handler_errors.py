"""Collect what handlers and replies raise, for the report of the test and for `raise_exceptions`."""

from __future__ import annotations

import threading

from localqueue.testing import tracebacks


class HandlerErrors:
    """The exceptions of handlers since the last reset, each once. Every thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._texts: list[str] = []

    def add(self, error: BaseException, job_id: str = "") -> None:
        """Add an exception, unless a framework has reported the same one before."""
        text = tracebacks.format_exception(error)
        title = f"job {job_id[-8:]}:\n{text}" if job_id else text
        with self._lock:
            if title not in self._texts and error not in self._errors:
                self._errors.append(error)
                self._texts.append(title)

    @property
    def count(self) -> int:
        """Return the number of exceptions."""
        return len(self._errors)

    def first_since(self, count: int) -> BaseException | None:
        """Return the first exception that was added after the first `count` ones, or None."""
        with self._lock:
            return self._errors[count] if len(self._errors) > count else None

    def report(self, limit: int) -> str:
        """Return the tracebacks, the first `limit` of them."""
        with self._lock:
            shown, rest = self._texts[:limit], len(self._texts) - limit
        return "\n".join([*shown, *([f"and {rest} more"] if rest > 0 else [])])

    def clear(self) -> None:
        """Forget every exception."""
        with self._lock:
            self._errors.clear()
            self._texts.clear()
