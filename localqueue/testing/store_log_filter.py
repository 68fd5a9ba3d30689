"""Keep the debug lines of the queue's database out of the records that a test captures."""

from __future__ import annotations

import logging
import threading

LOGGER = logging.getLogger("aiosqlite")


class StoreLogFilter(logging.Filter):
    """A filter that drops what the threads of a starting server log, and those of no other use of aiosqlite."""

    def __init__(self) -> None:
        super().__init__()
        self._others: set[threading.Thread] = set()
        self._own: set[int | None] | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record comes from elsewhere."""
        if self._own is not None:
            return record.thread not in self._own
        return record.thread in {thread.ident for thread in self._others}

    def starting(self) -> None:
        """Note which threads were there before the server."""
        self._others, self._own = set(threading.enumerate()), None

    def started(self) -> None:
        """Note which threads the server has started."""
        self._own = {thread.ident for thread in set(threading.enumerate()) - self._others}
