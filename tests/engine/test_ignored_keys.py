"""Unknown keys of enqueue requests are remembered and reported within bounds."""

from __future__ import annotations

from localqueue.core import events
from localqueue.core.models import Job
from localqueue.engine.ignored_keys import MAX_JOBS, MAX_KEY, MAX_KEYS, IgnoredKeys


def job(number: int) -> Job:
    return Job(number, f"id-{number:08}", "shop", "work", 10, 20, number=number)


def test_each_key_is_reported_once_until_a_reset_and_the_latest_jobs_are_remembered() -> None:
    """Rule enqueue.unknown-keys."""
    seen: list[events.Event] = []
    ignored = IgnoredKeys(events.Hub(seen.append))
    for number in range(MAX_JOBS + 1):
        ignored.add(job(number), ["payload", "x" * 1000], False)
    assert len(seen) == 1
    assert ignored.of(job(0)) == ()
    assert ignored.of(job(1)) == ignored.of(job(MAX_JOBS))
    assert [len(key) for key in ignored.of(job(1))] == [len("payload"), MAX_KEY]
    ignored.clear()
    assert ignored.of(job(1)) == ()


def test_a_request_with_thousands_of_unknown_keys_gets_one_warning() -> None:
    """Rule enqueue.unknown-keys."""
    seen: list[events.Event] = []
    ignored = IgnoredKeys(events.Hub(seen.append))
    ignored.add(job(1), map(str, range(5000)), False)
    assert len(ignored.of(job(1))) == MAX_KEYS
    named = "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 4990 more"
    assert seen == [events.Warned(f"POST /jobs: unknown keys {named} (ignored)")]
    ignored.add(job(2), ["payload"], False)
    assert len(seen) == 1
