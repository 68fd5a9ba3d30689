"""Remember refused requests by reason: who enqueues wrongly should see why, however often it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.errors import LocalqueueError
from localqueue.core.models import Rejection
from localqueue.core.text import cut

MAX_REASONS = 200
"""How many reasons are remembered; the ones that were repeated least recently go first."""
MAX_NAME = 128
MAX_TEXT = 500

Reason = tuple[str, str | None, str | None, bool]


class Rejections:
    """The refused requests since the last reset, by code, namespace and queue."""

    def __init__(self, clock: Clock, hub: events.Hub) -> None:
        self._clock = clock
        self._hub = hub
        self._by_reason: dict[Reason, Rejection] = {}
        self._by_code: Counter[str] = Counter()

    def add(
        self, error: LocalqueueError, namespace: str | None, queue: str | None, *, is_security: bool = False
    ) -> None:
        """Count a refused request, and report it unless it only repeats earlier ones."""
        namespace, queue = _short(namespace), _short(queue)
        reason, now = (error.code, namespace, queue, is_security), self._clock.now()
        known = self._by_reason.pop(reason, None)
        rejection = Rejection(
            code=error.code,
            message=cut(error.message, MAX_TEXT),
            hint=cut(error.hint, MAX_TEXT),
            namespace=namespace,
            queue=queue,
            is_security=is_security,
            count=1 if known is None else known.count + 1,
            first_ms=now if known is None else known.first_ms,
            last_ms=now,
        )
        self._by_reason[reason] = rejection
        self._by_code[error.code] += 1
        self._hub(events.Rejected(rejection, self._is_news(rejection)))
        if len(self._by_reason) > MAX_REASONS:
            del self._by_reason[next(iter(self._by_reason))]

    def _is_news(self, rejection: Rejection) -> bool:
        """Return True for the first, tenth, hundredth... request of a reason; with very many reasons, of all."""
        is_crowded = len(self._by_reason) > MAX_REASONS
        return _is_power_of_ten(self.total if is_crowded else rejection.count)

    @property
    def total(self) -> int:
        """Return the number of refused requests."""
        return self._by_code.total()

    @property
    def by_code(self) -> Mapping[str, int]:
        """Return the number of refused requests by error code."""
        return self._by_code

    def newest_first(self) -> list[Rejection]:
        """Return the remembered reasons, the one that was repeated last first."""
        return list(reversed(self._by_reason.values()))

    def clear(self) -> None:
        """Forget everything."""
        self._by_reason.clear()
        self._by_code.clear()


def _short(name: str | None) -> str | None:
    return None if name is None else cut(name, MAX_NAME)


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
