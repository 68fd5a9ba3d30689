"""`localqueue fault`, against a real server on the virtual clock."""

from __future__ import annotations

import json

from tests.conftest import Shop


def test_outcomes_are_added_listed_used_and_cleared(shop: Shop) -> None:
    """Rule cli.fault."""
    assert shop.shown("fault", "list") == (
        "No outcomes are scripted. Outcomes: ok, 503, timeout, reset, refuse, slow=250, lost-ack\n"
    )
    assert shop.shown("fault", "add", "shop/work", "503, lost-ack,ok") == "shop/work  503, lost-ack, ok\n"
    assert json.loads(shop.shown("fault", "list", "--json")) == {
        "faults": [{"namespace": "shop", "queue": "work", "outcomes": ["503", "lost-ack", "ok"]}]
    }
    id_ = shop.shown("enqueue", "shop/work").strip()
    shop.shown("advance", "0s")
    assert shop.shown("fault", "list") == "shop/work  lost-ack, ok\n"
    assert "attempt 1/3  503 Service Unavailable (injected)" in shop.shown("job", id_)
    assert "http_error 503 (injected)" in shop.shown("ledger")
    assert shop.shown("fault", "clear", "shop/work").startswith("No outcomes are scripted.")


def test_a_wrong_word_or_queue_changes_nothing(shop: Shop) -> None:
    """Rule cli.fault, faults.words."""
    assert "unknown outcome 'lostack'; did you mean lost-ack?" in shop.failing(
        "fault", "add", "shop/work", "ok,lostack", code=2
    )
    assert "separate the outcomes by commas, without spaces: ok,lost-ack\n" in shop.failing(
        "fault", "add", "shop/work", "ok,", "lost-ack", code=2
    )
    assert "unknown queue 'wrk'; declared: work" in shop.failing("fault", "add", "shop/wrk", "ok")
    assert "unknown queue 'wrk'" in shop.failing("fault", "clear", "wrk")
    assert shop.server.get("/faults") == {"faults": []}


def test_the_table_of_advance_and_drain_names_an_error_as_the_log_does(shop: Shop) -> None:
    """Rule time.advance."""
    shop.shown("fault", "add", "shop/work", "refuse,503,timeout")
    id_ = shop.shown("enqueue", "shop/work").strip()
    _, *rows, _ = shop.shown("drain").splitlines()
    outcomes = [row.split("/3", 1)[1].split("00:0")[0].strip() for row in rows]
    assert outcomes == ["connect_refused", "http_error 503", "timeout"]
    codes = [attempt["error"]["code"] for attempt in shop.server.job(id_)["attempts"]]
    assert codes == ["connect_refused", "http_503", "timeout"]
