"""Refused requests are remembered by reason, within bounds."""

from __future__ import annotations

from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.core.errors import NotFound
from localqueue.engine.rejections import MAX_NAME, MAX_REASONS, Rejections


def collected() -> tuple[Rejections, list[events.Rejected]]:
    seen: list[events.Rejected] = []

    def listen(event: events.Event) -> None:
        assert isinstance(event, events.Rejected)
        seen.append(event)

    return Rejections(VirtualClock(0), events.Hub(listen)), seen


def unknown(name: str) -> NotFound:
    return NotFound(f"unknown queue {name}", "known: work", code="unknown_queue")


def test_ten_thousand_requests_of_one_reason_are_one_reason_with_a_count_and_five_lines() -> None:
    """Rule enqueue.rejected."""
    rejections, seen = collected()
    for _ in range(10_000):
        rejections.add(unknown("wrok"), "shop", "wrok")
    (rejection,) = rejections.newest_first()
    assert (rejection.code, rejection.queue, rejection.count) == ("unknown_queue", "wrok", 10_000)
    assert [event.rejection.count for event in seen if event.is_news] == [1, 10, 100, 1000, 10_000]
    assert rejections.by_code == {"unknown_queue": 10_000}


def test_ten_thousand_reasons_keep_the_newest_ones_and_a_bounded_number_of_lines() -> None:
    """Rule enqueue.rejected."""
    rejections, seen = collected()
    for number in range(10_000):
        rejections.add(unknown(str(number)), "shop", f"{number}" + "x" * 1000)
    reasons = rejections.newest_first()
    assert len(reasons) == MAX_REASONS
    assert reasons[0].queue is not None and reasons[0].queue.startswith("9999x")
    assert all(len(reason.queue or "") <= MAX_NAME for reason in reasons)
    assert sum(event.is_news for event in seen) < MAX_REASONS + 10
    assert rejections.total == 10_000


def test_a_reset_forgets_them() -> None:
    """Rule reset.state."""
    rejections, _ = collected()
    rejections.add(unknown("a"), None, None)
    rejections.clear()
    assert (rejections.newest_first(), rejections.total) == ([], 0)
