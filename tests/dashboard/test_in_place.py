"""What is on the page is changed in place and stays where it is: focus, selected text, scroll position, buttons."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from tests.dashboard.browser import Board, axe, board
from tests.support import Reply, Server, Worker, until


def long(message: str) -> Reply:
    body = {"error": message, "trace": [f"frame {number}" for number in range(90)]}
    return 500, json.dumps(body).encode(), {"Content-Type": "application/json"}


def fail(wall: Board, *replies: Reply) -> str:
    """Return a job whose attempts got these responses."""
    wall.script += replies
    id_ = wall.server.enqueue({"list": [f"row {number}" for number in range(90)]})
    wall.server.wait_state(id_, "retrying", "failed")
    for _ in replies[1:]:
        wall.post("/clock/advance", {"to": "next"})
    return id_


def test_a_double_click_on_retry_now_does_not_reach_the_button_that_takes_its_place(timed: Board) -> None:
    """Rule dashboard.still: that would move the clock. The page's clock hardly moves meanwhile."""
    id_ = fail(timed, 500, 500, 500)
    timed.open(f"#/jobs/{id_}")
    timed.script += [500]
    place = still_middle(timed, timed.page.get_by_role("button", name="Retry now"))
    timed.page.mouse.click(*place)
    timed.server.wait_state(id_, "retrying")
    again = timed.page.get_by_role("button", name="Try now", exact=True)

    def is_drawn() -> int:
        timed.page.clock.run_for(2)  # so little that the time of a double click is not over when the event has come
        return again.count()

    until(is_drawn, "the other button is in its place")
    assert timed.page.evaluate("([x, y]) => document.elementFromPoint(x, y).dataset.do", place) == "try"
    offset = timed.server.get("/clock")["offsetMs"]
    for _ in range(2):
        timed.page.mouse.click(*place)
    timed.page.mouse.click(place[0], place[1] + 200)
    assert not any(url.endswith("/clock/advance") for url in timed.asked)
    assert timed.server.get("/clock")["offsetMs"] == offset
    timed.page.clock.run_for(1000)
    again.click()
    until(lambda: timed.server.get("/clock")["offsetMs"] > offset, "a click that is meant moves the clock")


def still_middle(timed: Board, button: Locator) -> tuple[float, float]:
    """Pause the page's clock, so that nothing more is drawn which would move the button, and return its middle."""
    expect(button).to_be_visible()
    timed.page.clock.pause_at(timed.page.evaluate("Date.now() / 1000 + 2"))
    box = button.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def sent(wall: Board, path: str) -> int:
    return sum(url.endswith(path) for url in wall.asked)


def hold_requests(wall: Board, path: str) -> list[Route]:
    """Return a list that the page's requests to this path enter and wait in; to be called before the page is opened.

    An open page may send what a key or a click asks for before it knows that its requests are held.
    """
    assert wall.page.url == "about:blank"
    waiting: list[Route] = []
    wall.page.route(f"{wall.server.url}{path}", lambda route: waiting.append(route))
    return waiting


def is_busy(wall: Board) -> bool:
    return bool(wall.page.evaluate("import('./static/state.js').then(({ state }) => state.busy.size)"))


def click_again_and_again(wall: Board, button: Locator) -> None:
    """Click three times, each time when the request of the last click is through, while the page's clock is paused."""
    place = still_middle(wall, button)
    for _ in range(3):
        wall.page.mouse.click(*place)
        until(lambda: not is_busy(wall), "the request is through")


@pytest.mark.parametrize("name", ["Retry 1", "Retry 1 failed"])
def test_a_double_click_sends_one_request(timed: Board, name: str) -> None:
    """Rule dashboard.still: also if the first one is through before the second click, which would find nothing."""
    fail(timed, 500, 500, 500)
    timed.open("#/?state=failed")
    button = timed.page.get_by_role("button", name=name, exact=True)
    click_again_and_again(timed, button)
    assert sent(timed, "/jobs/retry") == 1
    timed.page.clock.run_for(1000)
    timed.see("1 failed job retried")


def test_each_click_on_a_step_of_the_clock_counts(timed: Board) -> None:
    """Rule dashboard.clock, dashboard.still."""
    timed.open()
    timed.press("Clock")
    button = timed.page.get_by_role("button", name="+1 s")
    click_again_and_again(timed, button)
    assert sent(timed, "/clock/advance") == 3


def test_while_one_cause_is_retried_another_one_can_be(wall: Board) -> None:
    """Rule dashboard.causes."""
    fail(wall, long("no policy"), long("no policy"), long("no policy"))
    fail(wall, 500, 500, 500)
    waiting = hold_requests(wall, "/_localqueue/jobs/retry")
    wall.open("#/?state=failed")
    expect(wall.page.locator(".causes button")).to_have_count(2)
    for button in wall.page.locator(".causes button").all():
        button.click()
    until(lambda: wall.page.title() and len(waiting) == 2, "two requests are held")
    for route in waiting:
        route.continue_()
    expect(wall.page.locator(".causes")).to_have_count(0)
    assert sent(wall, "/jobs/retry") == 2


def test_a_key_that_is_held_down_acts_once(wall: Board) -> None:
    """Rule dashboard.still."""
    id_ = fail(wall, 500, 500, 500)
    wall.script += [500]
    wall.open(f"#/jobs/{id_}")
    expect(wall.page.get_by_role("button", name="Retry now")).to_be_visible()
    wall.page.keyboard.down("r")
    expect(wall.page.get_by_role("button", name="Try now", exact=True)).to_be_visible()
    wall.page.keyboard.down("r")
    wall.page.keyboard.up("r")
    wall.server.wait_state(id_, "retrying")
    assert not any(url.endswith("/clock/advance") for url in wall.asked)


def test_enter_that_is_held_down_presses_a_button_once(wall: Board) -> None:
    """Rule dashboard.still: also when its request is through."""
    wall.open()
    wall.press("Clock")
    wall.page.get_by_role("button", name="+1 s").focus()
    for _ in range(3):
        wall.page.keyboard.down("Enter")
        until(lambda: not is_busy(wall), "the request is through")
    wall.page.keyboard.up("Enter")
    wall.page.keyboard.press("Enter")
    until(lambda: not is_busy(wall), "the request is through")
    assert sent(wall, "/clock/advance") == 2


def test_ctrl_enter_that_is_held_down_enqueues_one_job(wall: Board) -> None:
    """Rule dashboard.still."""
    waiting = hold_requests(wall, "/jobs")
    wall.open("#/queues/shop/work")
    wall.press("Enqueue")
    wall.page.get_by_label("Payload (JSON)").fill("7")
    wall.page.keyboard.down("Control")
    for _ in range(3):
        wall.page.keyboard.down("Enter")
    wall.page.keyboard.up("Enter")
    wall.page.keyboard.up("Control")
    until(lambda: wall.page.title() and waiting, "the request is held")
    for route in waiting:
        route.continue_()
    wall.wait("completed", 1)
    assert len(wall.worker.bodies) == 1


def test_a_job_can_be_enqueued_before_the_page_knows_the_queues(wall: Board) -> None:
    """Rule dashboard.actions."""
    wall.open()
    wall.page.evaluate("""import('./static/state.js').then(({ state }) => {
        state.queues = null;
        document.querySelector('[data-do=enqueue]').click();
    })""")
    expect(wall.page.get_by_label("Payload (JSON)")).to_be_visible()


def test_the_focus_stays_on_its_button_and_goes_to_no_other_one_when_that_is_gone(wall: Board) -> None:
    """Rule dashboard.still: least of all to Cancel."""
    id_ = fail(wall, 500, 500, 500)
    wall.open(f"#/jobs/{id_}")
    replay = wall.page.get_by_role("button", name="Replay…")
    replay.focus()
    release = wall.hold()
    wall.post(f"/jobs/{id_}/retry")
    expect(wall.page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(replay).to_be_focused()
    wall.page.get_by_role("button", name="Cancel").focus()
    release.set()
    expect(wall.job()).to_contain_text("Your handler responded 200 OK")
    expect(wall.page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(wall.job()).to_be_focused()


def text_of(wall: Board, label: str) -> Locator:
    return wall.job().locator(f".block[aria-label={label}] pre")


SELECT = """(text) => {
    const range = document.createRange();
    range.selectNodeContents(text.querySelector('.key'));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    text.scrollTo(0, 300);
}"""


def test_scrolling_and_selected_text_survive_what_happens_to_the_job(wall: Board) -> None:
    """Rule dashboard.still: the response that is being read stays, too, though there is a newer one."""
    id_ = fail(wall, long("no policy"))
    wall.open(f"#/jobs/{id_}")
    text_of(wall, "Payload").evaluate(SELECT)
    text_of(wall, "Body").evaluate("(text) => text.scrollTo(0, 200)")
    wall.job().evaluate("(job) => job.scrollTo(0, 120)")
    wall.script += [long("no claim")]
    wall.post("/clock/advance", {"to": "next"})
    expect(wall.job().locator("button.attempt")).to_have_count(2)
    expect(wall.job().locator(".response")).to_contain_text("Response to attempt 1 of 3")
    assert wall.page.evaluate("getSelection().toString()") == '"list"'
    assert text_of(wall, "Payload").evaluate("(text) => text.scrollTop") == 300
    assert text_of(wall, "Body").evaluate("(text) => text.scrollTop") == 200
    assert wall.job().evaluate("(job) => job.scrollTop") == 120
    text_of(wall, "Body").evaluate("(text) => text.scrollTo(0, 0)")
    wall.job().locator("button.attempt").nth(1).click()
    expect(wall.job().locator(".response")).to_contain_text("no claim")


def test_a_list_that_is_fetched_again_keeps_its_rows_and_its_place(wall: Board) -> None:
    """Rule dashboard.still: also with more rows than a page has, and new jobs wait for the reader."""
    ids = wall.enqueue(*[b"%d" % number for number in range(140)])
    wall.wait("completed", 140)
    wall.open()
    expect(wall.rows()).to_have_count(100)
    wall.press("Older jobs")
    expect(wall.rows()).to_have_count(140)
    wall.page.locator("#rows").evaluate("(rows) => rows.scrollTo(0, 3000)")
    wall.enqueue(b'"new"')
    wall.see("1 new job")
    wall.asked.clear()
    for id_ in ids[20:21]:
        wall.page.evaluate(
            f"fetch('jobs/{id_}', {{method: 'DELETE', headers: {{'Content-Type': 'application/json'}}}})"
        )
        expect(wall.row(id_)).to_have_count(0)
    expect(wall.rows()).to_have_count(139)
    wall.see("1 new job")
    assert wall.page.locator("#rows").evaluate("(rows) => rows.scrollTop") == 3000
    wall.press("1 new job")
    expect(wall.rows().first).to_contain_text("new")


def test_a_row_keeps_the_focus_while_it_and_its_neighbours_change(wall: Board) -> None:
    """Rule dashboard.still."""
    release = wall.hold()
    first, second = wall.enqueue(b"1", b"2")
    wall.open()
    expect(wall.row(second)).to_contain_text("running")
    wall.row(second).focus()
    wall.page.evaluate("window.blurred = 0; document.activeElement.addEventListener('blur', () => { blurred += 1 })")
    wall.enqueue(b"3")
    expect(wall.rows()).to_have_count(3)
    release.set()
    for id_ in (first, second):
        expect(wall.row(id_)).to_contain_text("completed")
    expect(wall.row(second)).to_be_focused()
    assert wall.page.evaluate("blurred") == 0


# the panel of a queue


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
    for value, shown in (("0", "no retries changed until reset, was 2 retries Undo"), ("2", "2 retries")):
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


def test_the_last_minute_shows_what_the_server_counted_and_passes_by_itself(timed: Board) -> None:
    """Rule dashboard.recent: without another request."""
    timed.script += [500]
    timed.enqueue(b"1", b"2", b"3")
    timed.wait("completed", 2)
    timed.wait("retrying", 1)
    timed.open("#/queues/shop/work")
    recent = timed.page.locator(".recent")
    expect(recent).to_contain_text("2 completed, 1 failed in the last 60 s")
    expect(recent).to_contain_text("p50 ")
    chart = recent.get_by_role("img", name="Attempts by second: 2 completed, 1 failed in the last 60 s")
    bars = [chart.locator(f"path.{kind}").get_attribute("d") or "" for kind in ("completed", "failed")]
    assert all(re.fullmatch(r"(M\d+ [\d.]+v-[\d.]+h3V[\d.]+z)+", each) for each in bars)
    asked = len(timed.asked)
    timed.page.clock.run_for(61_000)
    expect(recent).to_contain_text("no attempts in the last 60 s")
    expect(chart).to_have_count(0)
    assert timed.asked[asked:] == []


def test_on_a_narrow_screen_the_panel_opens_on_demand_and_is_accessible(
    browser: Browser, server: Server, worker: Worker
) -> None:
    """Rule dashboard.narrow, dashboard.accessible, dashboard.recent: an attempt is counted when its event comes."""
    with board(browser, server, worker, viewport={"width": 400, "height": 700}, reduced_motion="reduce") as found:
        found.open("#/queues/shop/work")
        expect(found.page.locator(".panel")).to_be_hidden()
        found.press("More")
        expect(found.page.locator(".recent")).to_contain_text("no attempts in the last 60 s")
        found.post("/../jobs", {"namespace": "shop", "queue": "work"})
        expect(found.page.locator(".recent")).to_contain_text("1 completed")
        found.press("concurrency 5")
        expect(found.page.get_by_label("concurrency", exact=True)).to_be_focused()
        assert axe(found.page) == []
