"""The panel of a queue: settings and target changed in place, and its last minute, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.dashboard.browser import Board, axe, board
from tests.support import Server, Worker, serving, write_catalog


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("panel")
    write_catalog(folder, retries=0)
    with serving(folder, "--ephemeral", "--target", worker.url) as found:
        yield found


@pytest.fixture
def wall(browser: Browser, server: Server, worker: Worker) -> Iterator[Board]:
    with board(browser, server, worker) as found:
        yield found


def work(wall: Board) -> dict[str, Any]:
    return next(each for each in wall.server.get("/queues")["queues"] if each["name"] == "work")


def setting(wall: Board, name: str) -> Locator:
    return wall.page.locator(f'.setting[data-key="{name}"]')


def test_a_setting_is_changed_in_place_marked_and_undone(wall: Board) -> None:
    """Rule dashboard.settings."""
    wall.open("#/queues/shop/work")
    wall.press("concurrency 5")
    field = wall.page.get_by_label("concurrency", exact=True)
    expect(field).to_be_focused()
    field.fill("12")
    wall.press("Save")
    expect(setting(wall, "concurrency")).to_have_text("concurrency 12 changed until reset, was 5 Undo")
    expect(wall.page.get_by_role("button", name="concurrency 12")).to_be_focused()
    expect(wall.page.locator(".queue", has_text="work")).to_contain_text("0/12")
    assert (work(wall)["concurrency"], work(wall)["changed"]) == (12, {"concurrency": 5})
    wall.press("Undo")
    expect(setting(wall, "concurrency")).to_have_text("concurrency 5")
    assert work(wall)["changed"] == {}


def test_the_value_of_the_catalog_undoes_a_change_and_a_reset_undoes_all(wall: Board) -> None:
    """Rule dashboard.settings."""
    wall.open("#/queues/shop/work")
    for value, shown in (("3", "3 retries changed until reset, was no retries Undo"), ("0", "no retries")):
        setting(wall, "retries").get_by_role("button").first.click()
        wall.page.get_by_label("retries", exact=True).fill(value)
        wall.page.keyboard.press("Enter")
        expect(setting(wall, "retries")).to_have_text(shown)
    assert work(wall)["changed"] == {}
    setting(wall, "timeoutMs").get_by_role("button").click()
    wall.page.get_by_label("timeoutMs", exact=True).fill("1500")
    wall.page.keyboard.press("Enter")
    expect(setting(wall, "timeoutMs")).to_contain_text("timeout 1.5 s changed until reset, was 30 s")
    wall.post("/reset")
    expect(setting(wall, "timeoutMs")).to_have_text("timeout 30 s")


def test_a_refused_value_stays_in_its_field_with_the_reason_and_escape_discards_it(wall: Board) -> None:
    """Rule dashboard.settings."""
    wall.open("#/queues/shop/work")
    for text, reason in (
        ("0", "concurrency must be a whole number from 1 to 1000, not 0"),
        ("many", "concurrency must be a whole number from 1 to 1000, not 'many'"),
    ):
        wall.press("concurrency 5")
        field = wall.page.get_by_label("concurrency", exact=True)
        field.fill(text)
        wall.page.keyboard.press("Enter")
        wall.see(reason)
        expect(field).to_have_value(text)
        wall.page.keyboard.press("Escape")
        expect(field).to_have_count(0)
        expect(wall.page.get_by_role("button", name="concurrency 5")).to_be_focused()
    assert work(wall)["changed"] == {}
    wall.problems.clear()  # the browser reports each 400


def test_what_is_typed_survives_events_that_change_the_queue(wall: Board) -> None:
    """Rule dashboard.still."""
    wall.open("#/queues/shop/work")
    wall.press("timeout 30 s")
    field = wall.page.get_by_label("timeoutMs", exact=True)
    field.fill("777")
    id_ = wall.server.enqueue(1)
    expect(wall.row(id_)).to_contain_text("completed")
    expect(wall.page.locator(".queue", has_text="work")).to_contain_text("1 completed")
    expect(field).to_have_value("777")
    expect(field).to_be_focused()


def test_the_target_of_a_service_is_changed_in_place_and_undone(wall: Board) -> None:
    """Rule dashboard.settings."""
    first = wall.worker.url
    wall.open("#/queues/shop/work")
    wall.press(first)
    wall.page.get_by_label("target", exact=True).fill("http://localhost:9")
    wall.page.keyboard.press("Enter")
    expect(setting(wall, "target")).to_have_text(f"POST http://localhost:9/work changed until reset, was {first} Undo")
    wall.go("#/queues/shop/other")
    expect(setting(wall, "target")).to_contain_text("changed until reset")
    wall.press("Undo")
    expect(setting(wall, "target")).to_have_text(f"POST {first}/other")


def test_the_last_minute_shows_what_the_server_counted_and_passes_by_itself(wall: Board) -> None:
    """Rule dashboard.recent: without another request."""
    wall.page.clock.install()
    wall.script += [500]
    wall.enqueue(b"1", b"2", b"3")
    wall.wait("completed", 2)
    wall.open("#/queues/shop/work")
    recent = wall.page.locator(".recent")
    expect(recent).to_contain_text("2 completed, 1 failed in the last 60 s")
    expect(recent).to_contain_text("p50 ")
    chart = recent.get_by_role("img", name="Attempts by second: 2 completed, 1 failed in the last 60 s")
    bars = [chart.locator(f"path.{kind}").get_attribute("d") or "" for kind in ("completed", "failed")]
    assert all(re.fullmatch(r"(M\d+ [\d.]+v-[\d.]+h3V[\d.]+z)+", each) for each in bars)
    asked = len(wall.asked)
    wall.page.clock.run_for(61_000)
    expect(recent).to_contain_text("no attempts in the last 60 s")
    expect(chart).to_have_count(0)
    assert wall.asked[asked:] == []


def test_an_attempt_is_counted_when_its_event_comes(wall: Board) -> None:
    """Rule dashboard.recent."""
    wall.open("#/queues/shop/work")
    recent = wall.page.locator(".recent")
    expect(recent).to_contain_text("no attempts in the last 60 s")
    wall.server.enqueue(1)
    expect(recent).to_contain_text("1 completed, 0 failed in the last 60 s")


def test_on_a_narrow_screen_the_panel_opens_on_demand_and_is_accessible(
    browser: Browser, server: Server, worker: Worker
) -> None:
    """Rule dashboard.narrow, dashboard.accessible."""
    with board(browser, server, worker, viewport={"width": 400, "height": 700}, reduced_motion="reduce") as found:
        found.open("#/queues/shop/work")
        expect(found.page.locator(".panel")).to_be_hidden()
        found.press("More")
        found.post("/../jobs", {"namespace": "shop", "queue": "work"})
        expect(found.page.locator(".recent")).to_contain_text("1 completed")
        found.press("concurrency 5")
        for scheme in ("light", "dark"):
            found.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert axe(found.page) == []
