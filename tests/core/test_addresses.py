"""Which hosts are loopback, and which are this machine."""

from __future__ import annotations

import pytest

from localqueue.core import addresses


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]",
             "::ffff:127.0.0.1"],
)  # fmt: skip
def test_loopback_addresses_and_names_below_localhost_are_loopback(host: str) -> None:
    assert addresses.is_loopback(host) and addresses.is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["127.example.test", "localhost.example.test", "127.0.0.1.example.test", "notlocalhost", "10.0.0.1",
             "example.test", "::2", "", "127.1"],
)  # fmt: skip
def test_names_that_only_look_like_loopback_are_not(host: str) -> None:
    assert not addresses.is_loopback(host) and not addresses.is_this_machine(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]"])
def test_the_unspecified_address_reaches_this_machine(host: str) -> None:
    assert addresses.is_this_machine(host) and not addresses.is_loopback(host)
