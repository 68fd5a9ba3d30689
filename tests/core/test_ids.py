"""Job ids."""

from __future__ import annotations

import uuid

from localqueue.core.ids import random_bytes, uuid7


def test_ids_are_uuid7_and_ordered_by_time() -> None:
    """Rule enqueue.ids."""
    ids = [uuid7(ms, random_bytes(None, 1)) for ms in (1, 2, 1_700_000_000_000)]
    assert ids == sorted(ids)
    assert [(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids] == [(7, uuid.RFC_4122)] * 3
