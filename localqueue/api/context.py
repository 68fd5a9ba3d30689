"""The context of the routes under /_localqueue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localqueue.api.event_buffer import EventBuffer
from localqueue.api.metrics import Metrics
from localqueue.api.recent_attempts import RecentHistory
from localqueue.api.status_tracker import StatusTracker
from localqueue.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server's URL, its database, the URLs that lead back to it, and the largest body in bytes."""

    url: str
    db: Path
    is_ephemeral: bool
    is_own: Callable[[str], bool]
    max_body: int


@dataclass(frozen=True, slots=True)
class Context:
    """The engine, its listeners, and the OpenAPI document."""

    engine: Engine
    info: ServerInfo
    events: EventBuffer
    tracker: StatusTracker
    metrics: Metrics
    recent: RecentHistory
    document: Callable[[], dict[str, Any]]
