"""Keep one server for each distinct catalog and options, so that starting it costs once a session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localqueue.testing.local_queue import LocalQueue


class ServerPool:
    """The queues of a test session, started when first needed."""

    def __init__(self) -> None:
        self._by_key: dict[str, LocalQueue] = {}
        self._last: tuple[Any, Any, LocalQueue] | None = None

    def take(self, catalog: Any, options: Mapping[str, Any], folder: Path) -> LocalQueue:
        """Return an empty queue; relative paths start at `folder`. Raises StartError, ClientError."""
        if self._last is not None and self._last[0] is catalog and self._last[1] is options:
            return self._last[2]
        queue = self._started(_absolute(catalog, folder), options)
        self._last = catalog, options, queue
        return queue

    def _started(self, catalog: Any, options: Mapping[str, Any]) -> LocalQueue:
        key = json.dumps([catalog, options], default=str, sort_keys=True)
        queue = self._by_key.get(key)
        if queue is None:
            queue = LocalQueue(catalog, **options)
            queue.start()
            self._by_key[key] = queue
        return queue

    def put_back(self, queue: LocalQueue) -> None:
        """Empty a queue after a test; the next test gets a new one if that fails, such as after `close()`."""
        try:
            queue.reset()
        except BaseException:
            self._last = None
            self._by_key = {key: kept for key, kept in self._by_key.items() if kept is not queue}
            queue.close()
            raise

    def close(self) -> None:
        """Stop every server."""
        self._last = None
        while self._by_key:
            self._by_key.popitem()[1].close()


def _absolute(catalog: Any, folder: Path) -> Any:
    if isinstance(catalog, list | tuple):
        return [_absolute(entry, folder) for entry in catalog]
    return folder / catalog if isinstance(catalog, str | Path) else catalog
