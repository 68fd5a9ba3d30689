"""The dashboard's screens and actions, in a real browser over a real server and a real worker."""

from __future__ import annotations

import json
import re
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, expect

from tests.dashboard.browser import Board, axe_in_light_and_dark, board
from tests.support import Server, Worker, until

BROKEN = (500, b'{"error": "claim not found", "claimId": 7}', {"Content-Type": "application/json", "X-Trace": "abc"})
PAGE = b"<html><style>p {}</style><pre>TypeError: &#39;amount&#39; &lt; 0<br>  at score.js:12</pre></html>"
BEYOND = """[...document.querySelectorAll('body *:not(bdi)')]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 0.5)
    .map((each) => each.outerHTML.slice(0, 120))"""
NEVER_MS = 3_600_000


def test_a_newcomer_finds_why_a_job_failed_fixes_the_handler_and_sees_it_complete(wall: Board) -> None:
    """Rule dashboard.answer: one click from the list to the response body and the next due time."""
    wall.script += [BROKEN] * 3
    id_ = wall.server.enqueue({"claimId": 7})
    wall.open()
    expect(wall.row(id_)).to_contain_text("retrying")
    expect(wall.row(id_)).to_contain_text("500")
    expect(wall.row(id_)).to_contain_text("next try in 59 min")
    wall.row(id_).click()
    expect(wall.job()).to_contain_text("500 Internal Server Error. Next try in 59 min")
    expect(wall.job().get_by_label("Body", exact=True).last).to_contain_text('"error": "claim not found"')
    wall.press("Try now")
    expect(wall.job().locator("header")).to_contain_text("attempt 2/3")
    expect(wall.page.get_by_role("button", name="Try now")).to_be_enabled()
    wall.page.keyboard.press("r")
    expect(wall.job()).to_contain_text("All 3 attempts failed")
    wall.press("Retry now")
    expect(wall.job()).to_contain_text("Your handler responded 200 OK")
    expect(wall.row(id_)).to_contain_text("completed")


def test_attempts_are_shown_on_a_time_axis_with_status_duration_headers_and_reason(wall: Board) -> None:
    """Rule dashboard.attempts."""
    wall.script += [BROKEN, (503, PAGE, {"Content-Type": "text/html", "Retry-After": "9"}), 200]
    id_ = wall.server.enqueue({})
    wall.server.wait_state(id_, "retrying")
    for _ in range(2):
        wall.post("/clock/advance", {"to": "next"})
    wall.open(f"#/jobs/{id_}")
    attempts = wall.job().locator("button.attempt")
    expect(attempts).to_have_count(3)
    expect(wall.job().locator(".axis")).to_contain_text("+1 h")
    lefts = [attempts.nth(at).locator("line.run").bounding_box() for at in range(3)]
    gaps = [lefts[at + 1]["x"] - lefts[at]["x"] for at in range(2) if lefts[at] and lefts[at + 1]]  # type: ignore[index]
    assert len(gaps) == 2 and gaps[0] > 100 and abs(gaps[0] - gaps[1]) < 10
    attempts.nth(1).click()
    response = wall.job().locator(".response")
    expect(response).to_contain_text("Response to attempt 2 of 3")
    expect(response.locator(".block pre.body")).to_have_text("TypeError: 'amount' < 0\n  at score.js:12")
    wall.press("Show source")
    expect(response.locator(".block pre.body")).to_have_text(PAGE.decode())
    response.locator(".headers summary").click()
    expect(response.locator("dl")).to_contain_text("retry-after")
    expect(response).to_contain_text("Retry 2 of 2, 3600000 ms after the end of the attempt.")
    expect(response).to_contain_text(f"{wall.worker.url}/work")


def test_a_scripted_outcome_is_shown_as_one(wall: Board) -> None:
    """Rule faults.outcomes."""
    wall.post("/faults", {"queue": "work", "outcomes": ["ok"]})
    (id_,) = wall.enqueue(b"7")
    wall.wait("completed", 1)
    wall.open(f"#/jobs/{id_[-8:]}")
    wall.see("Scripted outcome: 200 OK (injected)")
    expect(wall.page.locator(".reason")).to_contain_text("Scripted outcome ok, started")


def test_jobs_and_numbers_change_by_themselves(wall: Board) -> None:
    """Rule dashboard.live."""
    wall.open()
    wall.see("No jobs yet")
    asked = len(wall.asked)
    ids = [wall.server.enqueue(n) for n in range(3)]
    for id_ in ids:
        expect(wall.row(id_)).to_contain_text("completed")
    expect(wall.rows()).to_have_count(3)
    expect(wall.page.locator(".queue", has_text="work")).to_contain_text("3 completed")
    expect(wall.row(ids[2])).to_contain_text("2")  # how the payload begins
    assert [url for url in wall.asked[asked:] if "/jobs?" not in url] == []


def test_after_a_burst_the_page_shows_what_the_server_has(wall: Board) -> None:
    """Rule dashboard.live: whatever came in between."""
    wall.worker.answer = lambda job: BROKEN if job["data"] % 7 == 0 else 200
    wall.open()
    wall.enqueue(*[b"%d" % n for n in range(250)])
    wall.wait("retrying", 36)
    wall.wait("completed", 214)
    expect(wall.page.locator("nav.tabs")).to_contain_text("completed214")
    expect(wall.rows().first).to_contain_text("249")
    listed = [
        [job["id"], job["state"], "".join(filter(None, (job["summary"], job["preview"])))]
        for job in wall.server.get("/jobs?limit=200")["jobs"]
    ]

    read = """(rows) => rows.slice(0, 200).map((row) =>
        [row.dataset.id, row.querySelector('.state').textContent, row.querySelector('.c-data').textContent])"""
    until(lambda: wall.rows().evaluate_all(read) == listed, "the page shows the same 200 jobs in the same order")


def test_a_waiting_job_is_cancelled_and_a_cancelled_one_retried(wall: Board) -> None:
    """Rule dashboard.actions."""
    wall.script += [BROKEN]
    id_ = wall.server.enqueue(1)
    wall.server.wait_state(id_, "retrying")
    wall.open(f"#/jobs/{id_}")
    wall.press("Cancel")
    expect(wall.job()).to_contain_text("Cancelled by hand")
    wall.press("Retry now")
    expect(wall.job()).to_contain_text("Your handler responded 200 OK")
    expect(wall.job()).to_contain_text("Round 2")


def test_every_failed_job_of_a_queue_is_retried_at_once(wall: Board) -> None:
    wall.script += [BROKEN] * 6
    ids = wall.enqueue(b"1", b"2")
    for _ in range(2):
        wall.wait("retrying", 2)
        wall.post("/clock/advance", {"ms": NEVER_MS})
    wall.wait("failed", 2)
    wall.open("#/queues/shop/work?state=failed")
    expect(wall.rows()).to_have_count(2)
    wall.press("Retry 2 failed")
    wall.see("2 failed jobs retried")
    wall.see("No failed jobs")
    wall.page.get_by_role("link", name="Show all").click()
    for id_ in ids:
        expect(wall.row(id_)).to_contain_text("completed")


def test_a_replay_is_a_new_job_with_an_edited_payload_that_names_its_original(wall: Board) -> None:
    id_ = wall.server.enqueue({"claimId": 9007199254740993})
    wall.open(f"#/jobs/{id_}")
    wall.press("Replay…")
    editor = wall.page.get_by_label("Payload (JSON)")
    expect(editor).to_have_value('{\n  "claimId": 9007199254740993\n}')
    editor.fill('{"claimId": 9007199254740995')
    wall.page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(wall.page.get_by_role("dialog")).to_contain_text("Invalid JSON: ")
    editor.fill('{"claimId": 9007199254740995}')
    wall.page.keyboard.press("Control+Enter")
    expect(wall.job()).to_contain_text(f"replay of {id_[-8:]}")
    expect(wall.job().get_by_label("Payload", exact=True).last).to_contain_text("9007199254740995")
    until(lambda: len(wall.worker.bodies) == 2, "both were delivered")
    assert b'"data":{"claimId": 9007199254740995}' in wall.worker.bodies[1]
    wall.job().get_by_role("link", name=id_[-8:]).click()
    expect(wall.job()).to_contain_text("replayed as")
    assert len(wall.server.get(f"/jobs/{id_}")["attempts"]) == 1


def test_a_replay_that_was_not_edited_is_sent_byte_for_byte(wall: Board) -> None:
    (id_,) = wall.enqueue(b'{"a" :1.0,  "b":1E400,"a":2}')
    wall.open(f"#/jobs/{id_}")
    wall.press("Replay…")
    wall.page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(wall.job()).to_contain_text("replay of")
    until(lambda: len(wall.worker.bodies) == 2, "both were delivered")
    assert all(b'"data":{"a" :1.0,  "b":1E400,"a":2}}' in each for each in wall.worker.bodies)


def test_the_dialog_for_a_new_job_starts_with_the_last_payload_of_its_queue(wall: Board) -> None:
    wall.server.enqueue({"claimId": 7}, queue="other")
    wall.open()
    expect(wall.rows()).to_have_count(1)
    wall.page.keyboard.press("e")
    expect(wall.page.get_by_label("Queue", exact=True)).to_have_value("0")
    editor = wall.page.get_by_label("Payload (JSON)")
    expect(editor).to_have_value('{\n  "claimId": 7\n}')
    editor.fill('{"claimId": 8, "big": 12345678901234567890}')
    wall.page.get_by_text("Equivalent curl command").click()
    expect(wall.page.get_by_role("dialog")).to_contain_text('"queue":"other","data":{"claimId": 8')
    wall.page.get_by_role("dialog").get_by_role("button", name="Enqueue").click()
    expect(wall.job()).to_contain_text("12345678901234567890")
    until(lambda: len(wall.worker.bodies) == 2, "both were delivered")
    assert b'"data":{"claimId": 8, "big": 12345678901234567890}' in wall.worker.bodies[1]


def test_a_queue_is_paused_and_resumed_and_its_jobs_say_so(wall: Board) -> None:
    wall.open("#/queues/shop/work")
    expect(wall.page.locator(".settings")).to_contain_text("concurrency 5")
    wall.script += [BROKEN]
    id_ = wall.server.enqueue(1)
    expect(wall.row(id_)).to_contain_text("next try in 59 min")
    wall.press("Pause")
    expect(wall.page.locator(".queue", has_text="work")).to_contain_text("paused")
    expect(wall.row(id_)).to_contain_text("paused")
    wall.row(id_).click()
    expect(wall.job()).to_contain_text("The next try waits")
    expect(wall.job()).to_contain_text("The queue is paused. The job starts when you resume it.")
    wall.press("Resume queue")
    wall.press("Try now")
    expect(wall.job()).to_contain_text("Your handler responded 200 OK")


def test_the_wall_clock_can_be_moved_and_drained(wall: Board) -> None:
    """Rule dashboard.clock."""
    wall.script += [BROKEN]
    id_ = wall.server.enqueue(1)
    wall.server.wait_state(id_, "retrying")
    wall.open()
    wall.press("Clock")
    wall.press("+1 min")
    wall.see("1 min ahead until the next start")
    wall.press("To next")
    expect(wall.row(id_)).to_contain_text("completed")
    wall.press("Drain")
    wall.see("all jobs are finished")


def test_an_address_leads_to_its_screen_and_back_goes_back(wall: Board) -> None:
    """Rule dashboard.links."""
    wall.script += [BROKEN]
    ids = [wall.server.enqueue(n) for n in range(2)]
    for id_ in ids:
        wall.server.wait_state(id_, "retrying", "completed")
    wall.open("#/queues/shop/work?state=retrying")
    expect(wall.rows()).to_have_count(1)
    wall.rows().first.click()
    expect(wall.job()).to_be_visible()
    assert re.search(r"#/queues/shop/work/jobs/[0-9a-f-]{36}\?state=retrying$", wall.page.url)
    wall.page.reload()
    expect(wall.job()).to_contain_text("500 Internal Server Error")
    expect(wall.rows()).to_have_count(1)
    wall.page.go_back()
    expect(wall.job()).to_be_hidden()
    expect(wall.page.get_by_role("heading", name="work")).to_be_visible()
    wall.page.goto(f"{wall.server.url}/_localqueue/#/jobs/{'0' * 8}")
    wall.see("No such job")
    wall.problems.clear()  # the browser reports the 404


def test_a_job_is_found_by_its_short_id(wall: Board) -> None:
    id_ = wall.server.enqueue({"claimId": 7})
    wall.server.enqueue({"claimId": 8})
    wall.open()
    wall.page.keyboard.press("/")
    wall.page.keyboard.type(id_[-8:].upper())
    wall.page.keyboard.press("Enter")
    expect(wall.job()).to_contain_text(id_)
    expect(wall.page.locator("#find")).to_have_value("")
    wall.page.keyboard.press("/")
    wall.page.keyboard.type("00000000")
    wall.see('No job ID starts with "00000000"')
    wall.page.keyboard.press("Escape")
    expect(wall.rows()).to_have_count(2)


def test_everything_is_within_reach_of_the_keyboard(wall: Board) -> None:
    """Rule dashboard.keys."""
    ids = wall.enqueue(b"1", b"2", b"3", b"4")
    wall.open()
    expect(wall.rows()).to_have_count(4)
    key = wall.page.keyboard.press
    key("j"), key("j"), key("k"), key("j")
    expect(wall.row(ids[2])).to_be_focused()
    key("Enter")
    expect(wall.job()).to_contain_text(ids[2])
    key("j")
    expect(wall.job()).to_contain_text(ids[1])
    key("Escape")
    expect(wall.job()).to_be_hidden()
    expect(wall.row(ids[1])).to_be_focused()
    key("?")
    expect(wall.page.get_by_role("dialog")).to_contain_text("next or previous job")
    key("j")
    key("Escape")
    expect(wall.page.get_by_role("dialog")).to_have_count(0)
    key("e")
    wall.page.get_by_label("Payload (JSON)").fill("1")
    key("j")  # a letter, in a text
    expect(wall.page.get_by_label("Payload (JSON)")).to_have_value("1j")
    key("Escape")
    expect(wall.page.get_by_role("dialog")).to_have_count(0)


def test_the_copied_payload_is_the_one_that_was_sent(browser: Browser, server: Server, worker: Worker) -> None:
    with board(browser, server, worker, permissions=["clipboard-read", "clipboard-write"]) as found:
        id_ = server.enqueue({"n": 1})
        found.open(f"#/jobs/{id_}")
        found.job().locator(".block", has_text="Payload").get_by_role("button", name="Copy").click()
        found.see("Copied")
        assert json.loads(found.page.evaluate("navigator.clipboard.readText()")) == {"n": 1}


def test_every_screen_is_accessible_in_light_and_dark(browser: Browser, server: Server, worker: Worker) -> None:
    """Rule dashboard.accessible."""
    with board(browser, server, worker, reduced_motion="reduce") as found:
        found.open()
        found.see("No jobs yet")
        assert axe_in_light_and_dark(found.page) == []
        found.script += [BROKEN] * 3
        ids = found.enqueue(*[b"{}"] * 4)
        found.wait("retrying", 3)
        found.post("/queues/shop/other/pause")
        server.enqueue("held", queue="other")
        found.press("Clock")
        expect(found.rows()).to_have_count(5)
        assert axe_in_light_and_dark(found.page) == []
        found.row(ids[0]).click()
        found.see("Next try")
        assert axe_in_light_and_dark(found.page) == []
        found.press("Replay…")
        found.page.get_by_label("Payload (JSON)").fill("{")
        assert axe_in_light_and_dark(found.page) == []
        found.page.keyboard.press("Escape")
        found.press("?")
        assert axe_in_light_and_dark(found.page) == []
        found.page.keyboard.press("Escape")
        found.page.set_viewport_size({"width": 400, "height": 800})
        assert axe_in_light_and_dark(found.page) == []


def test_it_fits_a_narrow_screen(browser: Browser, server: Server, worker: Worker) -> None:
    """Rule dashboard.narrow."""
    with board(browser, server, worker, viewport={"width": 400, "height": 700}) as found:
        found.script += [BROKEN]
        id_ = server.enqueue({"text": "x" * 300, "list": list(range(60))})
        server.wait_state(id_, "retrying")
        for address in ("", "#/queues/shop/work", f"#/queues/shop/work/jobs/{id_}"):
            found.open(address)
            expect(found.row(id_) if "jobs/" not in address else found.job().locator(".response")).to_be_visible()
            assert found.page.evaluate(BEYOND) == [], address
        expect(found.job()).to_be_focused()
        found.page.get_by_role("link", name="Jobs").click()
        expect(found.row(id_)).to_be_visible()
        expect(found.job()).to_be_hidden()
        found.page.get_by_role("link", name="All queues").click()
        found.press("Queues")
        found.page.get_by_role("link", name="shop", exact=True).click()
        expect(found.page.get_by_label("Queues", exact=True)).to_be_hidden()
        expect(found.page.get_by_role("heading", name="shop")).to_be_visible()
        expect(found.row(id_)).to_be_visible()


def test_on_a_screen_of_middle_width_the_reason_has_more_room_than_the_queue(
    browser: Browser, server: Server, worker: Worker
) -> None:
    """Rule dashboard.narrow."""
    with board(browser, server, worker, viewport={"width": 1000, "height": 700}) as found:
        found.script += [BROKEN]
        server.wait_state(server.enqueue(), "retrying")
        found.open()
        expect(found.rows().first).to_be_visible()
        queue, why, outcome = (
            found.page.locator(cell).first.evaluate("each => each.clientWidth")
            for cell in (".c-queue", ".c-data", ".c-last")
        )
        assert why > queue and outcome >= 70


def test_on_a_narrow_screen_the_jobs_come_first(browser: Browser, server: Server, worker: Worker) -> None:
    """Rule dashboard.narrow: queues and rare actions unfold."""
    with board(browser, server, worker, viewport={"width": 400, "height": 700}) as found:
        found.enqueue(*[b"1"] * 9)
        found.wait("completed", 9)
        for address in ("", "#/namespaces/shop", "#/queues/shop/work"):
            found.open(address)
            box = found.rows().first.bounding_box()
            assert box is not None and box["y"] < 300, address
            for name in ("Delete 9 finished…", "Reset…"):
                expect(found.page.get_by_role("button", name=name)).to_be_hidden()
        expect(found.page.get_by_label("Queues", exact=True)).to_be_hidden()
        found.go("#/")
        found.press("More")
        expect(found.page.get_by_role("button", name="Delete 9 finished…")).to_be_visible()
        expect(found.page.get_by_role("button", name="More")).to_have_attribute("aria-expanded", "true")


def test_it_is_dark_where_the_reader_s_other_windows_are(wall: Board) -> None:
    """Rule dashboard.dark."""
    wall.open()
    grounds = []
    for scheme in ("light", "dark"):
        wall.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        ground = wall.page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(int(re.findall(r"\d+", ground)[0]))
    assert grounds[0] > 200 and grounds[1] < 60


def test_nothing_is_animated_with_reduced_motion(wall: Board) -> None:
    """Rule dashboard.motion."""
    release = wall.hold()
    wall.open()
    id_ = wall.server.enqueue(1)
    expect(wall.row(id_)).to_contain_text("running")
    shape = wall.row(id_).locator("svg").first
    names = []
    for motion in ("no-preference", "reduce"):
        wall.page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
        names.append(shape.evaluate("(svg) => getComputedStyle(svg).animationName"))
    release.set()
    wall.server.wait_state(id_, "completed")
    assert names == ["turn", "none"]


def test_times_are_local_until_utc_is_chosen_which_is_remembered(
    browser: Browser, server: Server, worker: Worker
) -> None:
    """Rule dashboard.time: a time in UTC says so."""
    with board(browser, server, worker, timezone_id="Asia/Kolkata") as found:
        id_ = server.enqueue(1)
        job = server.wait_state(id_, "completed")
        created = job["createdAt"]
        utc = created[:23].replace("T", " ")
        local, finished = (
            datetime.fromisoformat(job[name]).astimezone(ZoneInfo("Asia/Kolkata"))
            for name in ("createdAt", "finishedAt")
        )
        found.open(f"#/jobs/{id_}")
        facts = found.page.get_by_label("Facts")
        expect(facts).to_contain_text(f"{local:%Y-%m-%d %H:%M:%S}.{created[20:23]}")
        expect(found.row(id_).locator("time")).to_have_attribute(
            "title", re.compile(f"{finished:%H:%M:%S}.[0-9]{{3}}$")
        )
        found.press("Show UTC")
        expect(facts).to_contain_text(f"{utc} UTC")
        expect(found.row(id_).locator("time")).to_have_attribute("title", re.compile("UTC$"))
        found.page.reload()
        expect(facts).to_contain_text(f"{utc} UTC")
        found.page.keyboard.press("u")
        expect(facts).not_to_contain_text("UTC 20")
        expect(facts).to_contain_text("Show UTC")
