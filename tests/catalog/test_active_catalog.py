"""What the catalog in use says of names that it doesn't declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.catalog.loader import load
from localqueue.core.errors import NotFound


def service(folder: Path, namespace: str, queue: str) -> Path:
    path = folder / f"{namespace}.yaml"
    path.write_text(f"""
kind: Component
metadata: {{name: {namespace}}}
spec:
  queues: [{{name: {queue}, endpoint: /{queue}}}]
""")
    return path


@pytest.mark.parametrize(
    ("queue", "hint"),
    [
        ("send-letter", "letters has a queue of this name. To enqueue there, send the namespace letters."),
        ("send-fax", "To add a queue, declare it under spec.queues in {folder}/claims.yaml."),
    ],
)
def test_an_unknown_queue_is_looked_for_in_the_other_services(tmp_path: Path, queue: str, hint: str) -> None:
    """Rule enqueue.unknown."""
    active = ActiveCatalog(load([service(tmp_path, "claims", "pay"), service(tmp_path, "letters", "send-letter")]))
    with pytest.raises(NotFound) as caught:
        active.find("claims", queue)
    assert caught.value.hint == hint.format(folder=tmp_path)
