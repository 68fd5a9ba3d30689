"""Name the command that starts this program again."""

from __future__ import annotations

import sys


def own_command() -> list[str]:
    """Return how to start `localqueue` in another process: by Python, or as the single binary."""
    is_binary = bool(getattr(sys, "frozen", False))
    return [sys.executable] if is_binary else [sys.executable, "-m", "localqueue"]
