"""A long history finds what only shows when finished jobs are pruned."""

from __future__ import annotations

import pytest

from localqueue.store import statements
from tests.sim.soak import soak

OLDEST = (
    "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs ORDER BY seq LIMIT (SELECT max(count(*) - ?1, 0) FROM jobs))"
)


@pytest.mark.parametrize(("prune", "rule"), [("SELECT ?1", "storage.retention"), (OLDEST, "I1")])
def test_a_long_history_finds_pruning_that_keeps_too_much_or_too_little(
    monkeypatch: pytest.MonkeyPatch, prune: str, rule: str
) -> None:
    """Rule storage.retention."""
    monkeypatch.setattr(statements, "PRUNE", prune)
    with pytest.raises(AssertionError, match=f"^{rule} "):
        soak(1, 200, days=1)
