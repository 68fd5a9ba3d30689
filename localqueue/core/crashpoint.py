"""End the process at a named point, for the crash tests: `LOCALQUEUE_CRASH_AT=name:nth`."""

from __future__ import annotations

import os

_name, _, _nth = os.environ.get("LOCALQUEUE_CRASH_AT", "").partition(":")
_left = int(_nth) if _nth.isdigit() else 1


def reach(name: str) -> None:
    """End the process as kill -9 would, if this is the requested point for the requested time."""
    if name == _name:
        _count_down()


def _count_down() -> None:
    global _left
    _left -= 1
    if _left <= 0:
        os._exit(137)
