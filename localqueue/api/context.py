"""Hold what the routes under /_localqueue work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localqueue.api.event_buffer import EventBuffer
from localqueue.api.metrics import Metrics
from localqueue.api.status_tracker import StatusTracker
from localqueue.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Say where the server listens, where it keeps jobs, which URLs lead back to it, and how large a body may be."""

    url: str
    db: Path
    is_ephemeral: bool
    is_own: Callable[[str], bool]
    max_body: int


@dataclass(frozen=True, slots=True)
class Context:
    """Hold the engine, what listens to it, and what describes every route."""

    engine: Engine
    place: ServerInfo
    feed: EventBuffer
    board: StatusTracker
    metrics: Metrics
    description: Callable[[], dict[str, Any]]
