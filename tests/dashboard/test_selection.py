"""Many jobs at once: selected rows, all that match, and what is confirmed first, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.dashboard.browser import Board, axe, board
from tests.support import Server, Worker, serving, until, write_catalog


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("selection")
    write_catalog(folder, retries=0)
    with serving(folder, "--ephemeral", "--clock", "virtual", "--target", worker.url) as found:
        yield found


def fill(opened: Board) -> None:
    """Give the server 3 failed jobs, then 2 completed, then 2 queued ones."""
    opened.worker.answer = lambda job: 500 if job["data"] == "bad claim" else 200
    opened.enqueue(*[b'"bad claim"'] * 3, *[b'"letter"'] * 2)
    opened.post("/clock/advance", {"ms": 0})
    opened.enqueue(*[b'"claim"'] * 2)


@pytest.fixture
def found(browser: Browser, server: Server, worker: Worker) -> Iterator[Board]:
    """Return a board whose server has these jobs."""
    with board(browser, server, worker) as opened:
        fill(opened)
        yield opened


def counts(found: Board) -> dict[str, int]:
    return {state: n for state, n in found.server.get("/jobs/counts").items() if n}


def boxes(found: Board) -> Locator:
    return found.page.locator("#rows").get_by_role("checkbox")


def bar(found: Board) -> Locator:
    return found.page.get_by_role("group", name="Selected jobs")


def confirm(found: Board, label: str) -> None:
    """Answer the question; there is only one."""
    found.page.get_by_role("alertdialog").get_by_role("button", name=label, exact=True).click()
    expect(found.page.get_by_role("alertdialog")).to_have_count(0)


def test_selected_rows_are_retried_cancelled_and_deleted(found: Board) -> None:
    """Rule dashboard.selection: each action is for the jobs that can take it."""
    found.open()
    expect(found.rows()).to_have_count(7)
    boxes(found).nth(0).click()
    boxes(found).nth(4).click(modifiers=["Shift"])
    expect(bar(found)).to_contain_text("5 selected")
    expect(bar(found).get_by_role("button")).to_have_text(["Retry 1", "Cancel 2…", "Delete 3…", "Clear"])
    found.press("Cancel 2…")
    dialog = found.page.get_by_role("alertdialog", name="Cancel 2 jobs?")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    expect(dialog).to_contain_text("Running attempts are cut off.")
    confirm(found, "Cancel 2 jobs")
    found.see("2 jobs cancelled")
    expect(bar(found)).to_contain_text("7 jobs")
    boxes(found).nth(2).click()
    boxes(found).nth(4).click()
    found.press("Delete 2…")
    confirm(found, "Delete 2 jobs")
    found.see("2 jobs deleted")
    expect(found.rows()).to_have_count(5)
    bar(found).get_by_role("checkbox").click()
    found.press("Retry 4")
    found.see("4 jobs retried")
    assert counts(found) == {"queued": 4, "completed": 1}


def test_deleting_several_rows_does_not_fetch_the_page_again_for_each_of_them(timed: Board) -> None:
    """Rule dashboard.live. The page's clock stands still until all are deleted, however long that takes."""
    fill(timed)
    timed.open()
    expect(timed.rows()).to_have_count(7)
    bar(timed).get_by_role("checkbox").click()
    timed.press("Delete 5…")
    expect(timed.page.get_by_role("alertdialog")).to_be_visible()
    timed.page.clock.pause_at(timed.page.evaluate("Date.now() / 1000 + 2"))
    timed.asked.clear()
    confirm(timed, "Delete 5 jobs")
    until(lambda: counts(timed) == {"queued": 2}, "they are deleted")
    message, tabs = timed.page.get_by_text("5 jobs deleted"), timed.page.locator(".tabs", has_text="All2")

    def is_drawn() -> int:
        timed.page.clock.run_for(20)
        return message.count() and tabs.count() and any(url.endswith("/status") for url in timed.asked)

    until(is_drawn, "the page shows it")
    timed.page.clock.run_for(1000)
    assert sum(url.endswith("/status") for url in timed.asked) < 5


def test_nothing_is_changed_before_the_question_is_confirmed(found: Board) -> None:
    """Rule dashboard.confirmed: Enter and Escape change nothing either; the focus goes back to the button."""
    found.open("#/?state=failed")
    expect(found.rows()).to_have_count(3)
    bar(found).get_by_role("checkbox").click()
    for answer in ("Enter", "Escape", "Keep them"):
        found.press("Delete 3…")
        expect(found.page.get_by_role("button", name="Keep them")).to_be_focused()
        if answer == "Keep them":
            confirm(found, answer)
        else:
            found.page.keyboard.press(answer)
        expect(found.page.get_by_role("alertdialog")).to_have_count(0)
        expect(found.page.get_by_role("button", name="Delete 3…")).to_be_focused()
    expect(bar(found)).to_contain_text("3 selected")
    assert counts(found)["failed"] == 3


def test_all_that_match_are_selected_although_the_page_shows_fewer(found: Board) -> None:
    """Rule dashboard.selection: the filter of the list, with its search."""
    found.enqueue(*[b'"claim"'] * 115)
    found.open("#/queues/shop/work?state=queued")
    expect(bar(found)).to_contain_text("100 of 117 jobs")
    found.page.get_by_role("searchbox").fill("claim")
    expect(found.page).to_have_url(f"{found.server.url}/_localqueue/#/queues/shop/work?state=queued&q=claim")
    expect(found.rows()).to_have_count(100)
    found.enqueue(b'"letter"')
    bar(found).get_by_role("checkbox").click()
    found.press("Select all that match")
    expect(bar(found)).to_contain_text("All 117 that match selected")
    found.press("Cancel 117…")
    dialog = found.page.get_by_role("alertdialog", name="Cancel all 117 jobs that match?")
    expect(dialog).to_contain_text('Queued jobs in shop/work with "claim" in the ID, the payload or a response.')
    confirm(found, "Cancel all 117 jobs that match")
    found.see("117 jobs cancelled")
    assert counts(found) == {"queued": 1, "failed": 3, "completed": 2, "cancelled": 117}


def test_all_that_match_are_retried_and_one_that_is_unselected_leaves_only_the_rows(found: Board) -> None:
    """Rule dashboard.selection."""
    found.enqueue(*[b"1"] * 110)
    found.open()
    expect(found.rows()).to_have_count(100)
    boxes(found).nth(7).click()
    found.press("Select all 117 that match")
    expect(boxes(found).nth(99)).to_be_checked()
    boxes(found).nth(3).click()
    expect(bar(found)).to_contain_text("99 selected")
    found.press("Select all 117 that match")
    found.press("Retry 3")
    found.see("3 jobs retried")
    assert counts(found) == {"queued": 115, "completed": 2}


def test_new_jobs_wait_while_somebody_selects_rows(found: Board) -> None:
    """Rule dashboard.still: else the next click would hit another row."""
    found.open()
    boxes(found).nth(0).click()
    found.enqueue(b'"new"')
    found.see("1 new job")
    expect(found.rows()).to_have_count(7)
    found.page.keyboard.press("Escape")
    found.press("1 new job")
    expect(found.rows()).to_have_count(8)
    expect(boxes(found).nth(1)).not_to_be_checked()


def test_a_selected_job_that_has_changed_meanwhile_is_left_alone_and_reported(found: Board) -> None:
    found.open("#/?state=queued")
    bar(found).get_by_role("checkbox").click()
    found.press("Cancel 2…")
    expect(found.page.get_by_role("alertdialog")).to_be_visible()
    found.post("/clock/step")
    confirm(found, "Cancel 2 jobs")
    found.see("1 job cancelled; 1 job had changed meanwhile")
    assert counts(found) == {"failed": 3, "completed": 3, "cancelled": 1}
    found.problems.clear()  # the browser reports the 409


def test_finished_jobs_are_deleted_and_everything_is_reset_after_one_question_each(found: Board) -> None:
    """Rule dashboard.confirmed."""
    found.open()
    found.press("Delete 5 finished…")
    expect(found.page.get_by_role("alertdialog")).to_contain_text("2 completed, 3 failed, in all queues.")
    confirm(found, "Delete 5 finished jobs")
    expect(found.rows()).to_have_count(2)
    found.press("Reset…")
    expect(found.page.get_by_role("alertdialog", name="Reset, and delete 2 jobs?")).to_be_visible()
    confirm(found, "Reset")
    found.see("No jobs yet")
    assert counts(found) == {}


def test_a_job_is_deleted_from_its_own_page_which_then_closes(found: Board) -> None:
    """Rule dashboard.confirmed."""
    found.open("#/?state=failed")
    found.rows().first.click()
    found.press("Delete…")
    confirm(found, "Delete job")
    expect(found.job()).to_be_hidden()
    expect(found.rows()).to_have_count(2)


def test_jobs_are_selected_and_changed_with_the_keyboard(found: Board) -> None:
    """Rule dashboard.keys."""
    found.open("#/?state=failed")
    expect(found.rows()).to_have_count(3)
    key = found.page.keyboard.press
    key("j"), key("x"), key("j"), key("x")
    expect(bar(found)).to_contain_text("2 selected")
    key("Escape")
    expect(bar(found)).to_contain_text("3 jobs")
    key("x"), key("a")
    expect(found.page.get_by_role("button", name="Retry 1")).to_be_focused()
    key("Tab"), key("Enter")
    expect(found.page.get_by_role("alertdialog", name="Delete 1 job?")).to_be_visible()
    key("Tab"), key("Enter")
    found.see("1 job deleted")
    bar(found).get_by_role("checkbox").focus()
    key("Space"), key("r")
    found.see("2 jobs retried")
    assert counts(found) == {"queued": 4, "completed": 2}


def test_a_selection_and_its_question_are_accessible(found: Board) -> None:
    """Rule dashboard.accessible."""
    found.page.emulate_media(reduced_motion="reduce")
    found.open("#/?state=failed")
    bar(found).get_by_role("checkbox").click()
    expect(bar(found)).to_contain_text("3 selected")
    assert axe(found.page) == []
    found.page.emulate_media(color_scheme="dark")
    found.press("Delete 3…")
    assert axe(found.page) == []
