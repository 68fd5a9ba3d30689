"""Make job ids: UUIDv7 strings, ordered by time, never used again."""

from __future__ import annotations

import hashlib
import os


def uuid7(now_ms: int, random: bytes) -> str:
    """Return a UUIDv7 (RFC 9562): 48 bits of time in ms, the rest from 10 random bytes."""
    number = int.from_bytes(now_ms.to_bytes(6, "big") + random, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_fresh = bytearray()


def random_bytes(seed: int | None, seq: int) -> bytes:
    """Return 10 bytes: random ones, or with a seed those that it yields for this sequence number."""
    if seed is None:
        return _from_system(10)
    return hashlib.sha256(f"{seed}:{seq}".encode()).digest()[:10]


def _from_system(size: int) -> bytes:
    """Return random bytes of the system, fetched for a hundred jobs at once and each used once."""
    if len(_fresh) < size:
        _fresh[:] = os.urandom(100 * size)
    taken = bytes(_fresh[-size:])
    del _fresh[-size:]
    return taken
