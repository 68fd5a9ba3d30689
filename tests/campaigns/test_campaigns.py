"""The short form of each campaign, and that a campaign can fail."""

from __future__ import annotations

import ast
import functools
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase

from localqueue.core import lifecycle
from localqueue.delivery import delivery
from tests.campaigns import gate, inputs, machine, power_loss, signals, workers
from tests.campaigns.__main__ import run
from tests.campaigns.table import CAMPAIGNS, Campaign

ROOT = Path(__file__).parents[2]


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
    monkeypatch.setattr(inputs.hostile, "requests", lambda _: iter(()))
    monkeypatch.setattr(inputs, "post", lambda *_: (500, b"{}"))
    with pytest.raises(AssertionError):
        inputs.requests(3, 1)


def test_a_wrong_reason_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_failure_of", lambda *_: delivery._failed("protocol", ""))
    with pytest.raises(AssertionError, match="'protocol', None, None\\) instead of"):
        workers.sequences(30, 1)


def test_a_request_that_passes_the_checks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FAULTS", {"host": [{"host": "127.0.0.1"}]})
    with pytest.raises(AssertionError, match="201 Created"):
        gate.requests(1, 1)


def test_a_difference_from_the_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    new_round = lifecycle.new_round
    monkeypatch.setattr(lifecycle, "new_round", lambda job, now: replace(new_round(job, now), attempt=job.attempt))
    monkeypatch.setattr(machine, "settings", functools.partial(machine.settings, phases=[Phase.generate]))
    with pytest.raises(AssertionError):
        machine.examples(12, 1)


def test_a_job_that_fails_by_a_signal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PHASES", ("work",))
    monkeypatch.setattr(signals.Shop, "status", 500)
    with pytest.raises(AssertionError, match="http_500"):
        signals.signals(1, 1)


def test_a_campaign_that_breaks_has_its_line_and_does_not_end_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(count: int, seed: int) -> str:
        raise TimeoutError("no response")

    campaigns = [Campaign("one", broken, 5, 50, ""), Campaign("two", lambda *given: f"{given}", 5, 50, "")]
    assert run(campaigns, None, 7, is_short=True) == 1
    rows = [line.split(maxsplit=5) for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1], row[2], row[5]) for row in rows[1:]] == [
        ("one", "5", "7", "BROKEN: TimeoutError: no response"),
        ("two", "5", "7", "(5, 7)"),
    ]


def test_every_campaign_is_in_the_documentation() -> None:
    text = (ROOT / "docs/reliability.md").read_text()
    assert [each.name for each in CAMPAIGNS if f"| {each.name} |" not in text] == []


def test_every_explained_mutant_changes_a_line_that_exists() -> None:
    groups = tomllib.loads((ROOT / "tests/campaigns/mutants.toml").read_text())["survivors"]
    texts = [text for group in groups for text in group["mutants"]]
    assert [text for text in texts if line_before(text) not in code_of(text.partition(": ")[0])] == []


def line_before(mutant: str) -> str:
    """Return what a mutant replaces, from a text in mutants.toml."""
    return mutant.partition(": ")[2].partition(" -> ")[0]


def code_of(name: str) -> str:
    """Return the code of a function, such as store.writer.Writer.close, as one line; "" if it doesn't exist."""
    folder, module, *path = name.split(".")
    source = (ROOT / "localqueue" / folder / f"{module}.py").read_text()
    node: ast.AST | None = ast.parse(source)
    for each in path:
        node = next((child for child in ast.iter_child_nodes(node) if getattr(child, "name", "") == each), None)
        if node is None:
            return ""
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 0)
    return " ".join(line.strip() for line in source.splitlines()[first - 1 : last])
