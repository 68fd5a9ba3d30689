"""Make job ids: UUIDv7 strings, ordered by time, never used again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable


def uuid7(now_ms: int, random: Callable[[int], bytes] = os.urandom) -> str:
    """Return a new UUIDv7 (RFC 9562): 48 bits of time in ms, the rest random."""
    number = int.from_bytes(now_ms.to_bytes(6, "big") + random(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))
