"""The base URL of a service: what is accepted is what the OpenAPI document says."""

from __future__ import annotations

import re

import pytest

from localqueue.catalog.targets import BASE_URL, target_problem

ACCEPTED = [
    *("http://localhost:3000", "https://claims.example/", "HTTP://LocalHost", "http://my_service:3000"),
    *("http://[::1]:3000", "http://[fe80::1%eth0]:3000", "http://localhost:3000/v1/*", "https://h/@a:b"),
]
REFUSED = [
    *(
        "",
        "localhost:3000",
        "ftp://x",
        "http://",
        "http://h:x",
        "http://h:",
        "http://user@h",
        "http://h$i",
        "http://h/?",
    ),
    *("http://h/#", "http://h/a\\b", "http://h/a b", "http://h/é", "http://h\n", "http://[x]", "http://h:\u0663"),
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_a_base_url_is_accepted(url: str) -> None:
    """Rule catalog.target."""
    assert target_problem(url) is None and re.fullmatch(BASE_URL, url)


@pytest.mark.parametrize("url", REFUSED)
def test_another_text_is_refused_with_the_reason(url: str) -> None:
    """Rule catalog.target."""
    assert target_problem(url) and not re.fullmatch(BASE_URL, url)


def test_a_base_url_without_an_address_has_the_form_of_one() -> None:
    """Only these the form can't tell: a port over 65,535, port 0, and brackets without an address."""
    for url in ("http://h:65536", "http://h:0", "http://[0]"):
        assert target_problem(url) and re.fullmatch(BASE_URL, url)
