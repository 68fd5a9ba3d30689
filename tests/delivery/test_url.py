"""How the URL of a delivery is split."""

from __future__ import annotations

import random

import httpx
import pytest

from localqueue.delivery import url

PIECES = (
    *("http://", "https://", "HTTP://", "127.0.0.1", "localhost", "LocalHost", "[::1]", "127.1", "0x7f.1", "a..b"),
    *(":", ":80", ":443", ":0", ":8080", ":65535", ":65536", ":080", "/", "/jobs", "//", "/.", "/..", "/.a", "/a.b"),
    *("/A~b_c-d", "%2F", "%zz", "?", "?a=b", "#x", "@", "me:pw@", "a", ".", "-", "\u017f", "\u212a", " ", "\n", "|"),
)


def as_httpx(text: str) -> url.Url | None:
    """Return what httpx makes of a URL, None if it can't be delivered to."""
    try:
        parsed = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return None
    port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    return url.Url(parsed.scheme, parsed.raw_host.decode(), port, parsed.netloc.decode(), parsed.raw_path)


def parsed(text: str) -> url.Url | None:
    try:
        return url.parse(text)
    except ValueError:
        return None


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:3000/jobs/send",
        "http://LOCALHOST:3000/Jobs/~a_b-c.d",
        "http://my-service.local:65535/x",
        "HTTP://localhost:80/x",
    ],
)
def test_a_url_is_split_as_httpx_splits_it(text) -> None:
    found = as_httpx(text)
    assert found is not None and url.parse(text) == found


def test_any_url_is_split_as_httpx_splits_it() -> None:
    rng = random.Random(20)
    for _ in range(5_000):
        start = rng.choice(("", "http://", "http://localhost:8080/a"))
        text = start + "".join(rng.choices(PIECES, k=rng.randint(1, 5)))
        assert parsed(text) == as_httpx(text), text
