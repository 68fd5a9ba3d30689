"""Join screenshots into one animated PNG, which GitHub and every browser show like a picture."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Frame = tuple[bytes, int]
"""A PNG file, and how long it is shown, in ms."""


def write(path: Path, frames: Sequence[Frame]) -> None:
    """Write frames of one size and color type as an animation that repeats for ever."""
    numbers = itertools.count()
    first, *_ = frames
    header = next(data for kind, data in chunks(first[0]) if kind == b"IHDR")
    parts = [chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", len(frames), 0))]
    for png, shown_ms in frames:
        found = list(chunks(png))
        if next(data for kind, data in found if kind == b"IHDR") != header:
            raise ValueError("the frames differ in size or color type")
        width, height = struct.unpack(">II", header[:8])
        control = struct.pack(">IIIIIHHBB", next(numbers), width, height, 0, 0, shown_ms, 1000, 0, 0)
        parts.append(chunk(b"fcTL", control))
        pixels = b"".join(data for kind, data in found if kind == b"IDAT")
        is_first = len(parts) == 3  # which is also the picture for those that know no animations
        parts.append(chunk(b"IDAT", pixels) if is_first else chunk(b"fdAT", struct.pack(">I", next(numbers)) + pixels))
    path.write_bytes(SIGNATURE + b"".join(parts) + chunk(b"IEND", b""))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the data of each chunk."""
    at = len(SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
