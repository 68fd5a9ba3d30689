"""Name what happens in the server, for whoever wants to tell of it; the wording sits in `cli/report.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from localqueue.models import Attempt, Catalog, Finding, Job


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Tell that an attempt has ended and is on disk."""

    job: Job
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """Tell that an edited catalog has taken effect."""

    catalog: Catalog


@dataclass(frozen=True, slots=True)
class CatalogRefused:
    """Tell that an edited catalog is wrong; the last good one stays."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """Tell something that the user should know."""

    message: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """Tell that a stop has begun, and how many attempts it waits for."""

    running: int


Event = AttemptEnded | CatalogChanged | CatalogRefused | Warned | Stopping
Report = Callable[[Event], None]


class Hub:
    """Tell several listeners of what happens."""

    def __init__(self, report: Report) -> None:
        self._listeners: list[Report] = [report]

    def __call__(self, event: Event) -> None:
        """Tell all of them."""
        for listener in tuple(self._listeners):
            listener(event)

    @contextlib.contextmanager
    def listening(self, listener: Report) -> Iterator[None]:
        """Tell one more for a while."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
