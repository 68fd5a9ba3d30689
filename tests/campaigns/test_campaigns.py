"""The short form of each campaign, and that a campaign can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns import inputs, power_loss
from tests.campaigns.table import CAMPAIGNS, Campaign


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=[each.name for each in CAMPAIGNS])
def test_the_short_form_keeps_its_promise(campaign: Campaign) -> None:
    """Rule storage.kill, storage.one-server, api.errors."""
    assert campaign.run(campaign.short, 1)


def test_a_lost_job_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    survivors = power_loss._survivors
    monkeypatch.setattr(power_loss, "_survivors", lambda *given: set(sorted(survivors(*given))[1:]))
    with pytest.raises(AssertionError, match="cut at"):
        power_loss.cuts(20, 1)


def test_an_internal_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_post", lambda *_: 500)
    with pytest.raises(AssertionError):
        inputs.requests(3, 1)


def test_every_campaign_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    assert [each.name for each in CAMPAIGNS if f"| {each.name} |" not in text] == []
