"""The clip of the README is a PNG that animates."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from docs import animation

CLIP = Path(__file__).parents[2] / "docs/pictures/clip.png"


def picture(width: int, pixel: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + pixel * width)
    parts = [(b"IHDR", header), (b"IDAT", pixels[:5]), (b"IDAT", pixels[5:]), (b"IEND", b"")]
    return animation.SIGNATURE + b"".join(animation.chunk(*part) for part in parts)


def test_frames_follow_one_another_and_the_first_is_a_plain_picture(tmp_path: Path) -> None:
    animation.write(tmp_path / "clip.png", [(picture(3, b"\xff\0\0"), 500), (picture(3, b"\0\xff\0"), 1500)])
    found = list(animation.chunks((tmp_path / "clip.png").read_bytes()))
    assert [kind for kind, _ in found] == [b"IHDR", b"acTL", b"fcTL", b"IDAT", b"fcTL", b"fdAT", b"IEND"]
    sequence = [struct.unpack(">I", data[:4])[0] for kind, data in found if kind in (b"fcTL", b"fdAT")]
    assert sequence == [0, 1, 2]
    assert zlib.decompress(found[3][1]) == b"\0" + b"\xff\0\0" * 3
    assert zlib.decompress(found[5][1][4:]) == b"\0" + b"\0\xff\0" * 3


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ in size"):
        animation.write(tmp_path / "clip.png", [(picture(3, b"abc"), 1), (picture(4, b"abc"), 1)])


def test_the_clip_has_its_four_steps() -> None:
    kinds = [kind for kind, _ in animation.chunks(CLIP.read_bytes())]
    assert kinds.count(b"fcTL") == 4
