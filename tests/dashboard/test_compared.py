"""The responses to the attempts of a job, compared with one another, in a real browser."""

from __future__ import annotations

import difflib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.dashboard.browser import Board, axe_in_light_and_dark
from tests.support import Reply, Server, Worker, serving, write_catalog

TRACE = [f"frame {number}" for number in range(20)]
HTML = {"Content-Type": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("compared")
    write_catalog(folder, retries=3, delay=3_600_000)
    with serving(folder, "--ephemeral", "--target", worker.url) as found:
        yield found


def failing(message: str, **more: Any) -> Reply:
    return 500, json.dumps({"error": message, "trace": TRACE, **more}).encode(), {"Content-Type": "application/json"}


def show(wall: Board, *replies: Reply) -> None:
    """Open a job whose attempts got these responses."""
    wall.script += replies
    id_ = wall.server.enqueue({"claimId": 7})
    wall.server.wait_state(id_, "retrying", "completed", "failed")
    for _ in replies[1:]:
        wall.post("/clock/advance", {"to": "next"})
    wall.open(f"#/jobs/{id_}")
    expect(attempts(wall)).to_have_count(len(replies))


def attempts(wall: Board) -> Locator:
    return wall.job().locator("button.attempt")


def response(wall: Board) -> Locator:
    return wall.job().locator(".response")


def select(wall: Board, number: int) -> None:
    attempts(wall).nth(number - 1).click()
    expect(response(wall)).to_contain_text(f"Response to attempt {number} of")


def changes(wall: Board) -> Locator:
    return response(wall).locator("details.changes")


def test_a_response_that_an_earlier_attempt_had_is_named_and_folded(wall: Board) -> None:
    """Rule dashboard.compared: the attempt that the page opens with still shows its body."""
    show(wall, failing("no policy"), (500, b"busy", {}), failing("no policy"))
    body = response(wall).get_by_label("Body", exact=True).last
    wall.see("Same response as attempt 1")
    expect(body).to_be_visible()
    expect(changes(wall)).to_have_count(0)
    for number in (1, 2):
        select(wall, number)
        expect(body).to_be_visible()
        expect(response(wall)).not_to_contain_text("Same response")
    select(wall, 3)
    expect(body).to_be_hidden()
    response(wall).get_by_text("Same response as attempt 1").click()
    expect(body).to_contain_text('"error": "no policy"')


def test_the_same_body_with_another_status_is_not_the_same_response(wall: Board) -> None:
    show(wall, (500, b"busy", {}), (503, b"busy", {}))
    select(wall, 2)
    expect(response(wall)).to_contain_text("503")
    expect(response(wall).locator("details.same, .changes")).to_have_count(0)


def test_the_lines_that_changed_since_the_previous_attempt_are_shown_with_few_around_them(wall: Board) -> None:
    """Rule dashboard.compared."""
    show(wall, failing("no policy"), failing("no claim", retry=True))
    expect(changes(wall).locator("summary")).to_have_text("Changed since attempt 1: 2 lines removed, 3 added")
    changes(wall).locator("summary").click()
    expect(changes(wall).locator("del").first).to_have_text('-   "error": "no policy",')
    expect(changes(wall).locator("ins")).to_have_text(['+   "error": "no claim",', "+   ],", '+   "retry": true'])
    expect(changes(wall).locator("pre")).to_contain_text("… 15 unchanged lines")
    expect(changes(wall).locator("pre")).to_contain_text("frame 19")
    expect(changes(wall).locator("pre")).not_to_contain_text("frame 10")


def test_any_two_lists_of_lines_can_be_put_together_again(wall: Board) -> None:
    wall.open_module("line_diff.js")
    chance = random.Random(7)
    pairs = [[chance.choices("abcd", k=chance.randrange(9)) for _ in range(2)] for _ in range(300)]
    found = wall.page.evaluate(
        "async (pairs) => { const { compare } = await import('/_localqueue/static/line_diff.js');"
        " return pairs.map(([before, after]) => compare(before, after)) }",
        pairs,
    )
    for (before, after), lines in zip(pairs, found, strict=True):
        assert [each["text"] for each in lines if each["kind"] != "added"] == before
        assert [each["text"] for each in lines if each["kind"] != "removed"] == after
        blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        assert sum(each["kind"] == "same" for each in lines) >= sum(block.size for block in blocks)


def test_json_that_differs_only_in_white_space_is_compared_as_it_was_sent(wall: Board) -> None:
    show(wall, (500, b'{"a": 1}', {}), (500, b'{"a":1}', {}))
    changes(wall).locator("summary").click()
    expect(changes(wall).locator("pre")).to_have_text('- {"a": 1}\n+ {"a":1}\n')


def test_pages_are_compared_as_text_and_as_source(wall: Board) -> None:
    show(wall, (500, b"<p>No <b>policy</b></p>", HTML), (500, b"<p>No <i>claim</i></p>", HTML))
    changes(wall).locator("summary").click()
    expect(changes(wall).locator("pre")).to_have_text("- No policy\n+ No claim\n")
    wall.press("Show source")
    expect(changes(wall).locator("pre")).to_have_text("- <p>No <b>policy</b></p>\n+ <p>No <i>claim</i></p>\n")


def test_without_two_bodies_nothing_is_compared(wall: Board) -> None:
    show(wall, (500, b"", {}), (500, b"busy", {}), (500, b"", {}))
    for number in (1, 2):
        select(wall, number)
        expect(response(wall).locator("details.same, .changes")).to_have_count(0)
    select(wall, 3)
    wall.see("Same response as attempt 1")
    expect(changes(wall)).to_have_count(0)


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["not UTF-8", "encoded"])
def test_bodies_that_are_not_shown_as_they_were_sent_are_not_called_the_same(
    wall: Board, headers: dict[str, str]
) -> None:
    show(wall, (500, b"\xff\xfe", headers), (500, b"\xfd\xfc", headers))
    expect(response(wall).locator(".block")).to_be_visible()
    expect(response(wall).locator("details.same, .changes")).to_have_count(0)


def test_long_responses_are_not_compared_and_do_not_freeze_the_page(wall: Board) -> None:
    """Rule dashboard.compared: 500 kB in many lines, in nested JSON, and in one line."""
    line = b"x" * 500_000
    show(
        wall,
        (500, b"a\n" * 250_000, {}),
        (500, b"b\n" * 250_000, {}),
        (500, b"\n" + line, {}),
        (500, b"\n!" + line, {}),
    )
    select(wall, 2)
    expect(response(wall).locator("p.changes")).to_have_text("Changed since attempt 1. Too long to compare.")
    select(wall, 4)
    changes(wall).locator("summary").click()
    expect(changes(wall).locator("del")).to_contain_text("- xxx")
    expect(changes(wall).locator("ins")).to_contain_text("+ !xxx")


def test_deeply_nested_responses_are_too_long_to_compare(wall: Board) -> None:
    one, other = (b"[" * 250 + value + b"]" * 250 for value in (b'{"a": {"b": 1}}', b'{"a": {"b": 2}}'))
    show(wall, (500, one, {}), (500, other, {}))
    expect(response(wall).locator("p.changes")).to_have_text("Changed since attempt 1. Too long to compare.")


def test_a_response_that_was_cut_is_called_the_same_only_as_far_as_it_is_known(wall: Board) -> None:
    show(wall, (500, b"x" * 500_000 + b"1", {}), (500, b"x" * 500_000 + b"2", {}))
    wall.see("Same first 64 KiB as attempt 1")


def test_an_attempt_of_another_round_is_named_with_its_round(wall: Board) -> None:
    show(wall, *[failing("no policy")] * 4)
    wall.script += [failing("no policy")]
    wall.press("Retry now")
    wall.see("Same response as attempt 1 of round 1")


def test_hostile_responses_are_compared_as_text(wall: Board) -> None:
    """Rule dashboard.text."""
    show(wall, (500, b"<img src=x onerror=alert(1)>", {}), (500, "<script>alert(1)</script>\u202egpj".encode(), {}))
    changes(wall).locator("summary").click()
    expect(changes(wall).locator("del")).to_have_text("- <img src=x onerror=alert(1)>")
    expect(changes(wall).locator("ins")).to_have_text("+ <script>alert(1)</script>\\u202egpj")
    assert changes(wall).locator("img, script").count() == 0


def test_changed_lines_are_accessible_in_light_and_dark(wall: Board) -> None:
    """Rule dashboard.accessible."""
    show(wall, failing("no policy"), failing("no\u202e claim"))
    changes(wall).locator("summary").click()
    assert axe_in_light_and_dark(wall.page) == []


def test_brackets_go_to_the_previous_and_the_next_attempt(wall: Board) -> None:
    """Rule dashboard.keys."""
    show(wall, failing("a"), failing("b"), failing("c"))
    key = wall.page.keyboard.press
    for pressed, number in (("[", 2), ("[", 1), ("[", 1), ("]", 2), ("]", 3), ("]", 3)):
        key(pressed)
        expect(response(wall)).to_contain_text(f"Response to attempt {number} of")
        expect(attempts(wall).nth(number - 1)).to_be_focused()
    key("["), key("[")  # faster than the page is drawn
    expect(response(wall)).to_contain_text("Response to attempt 1 of")
    key("/")
    key("]")
    expect(wall.page.locator("#find")).to_have_value("]")
    expect(wall.page.locator("#find")).to_be_focused()


def test_brackets_that_need_alt_gr_work_and_other_commands_of_the_browser_are_left_alone(wall: Board) -> None:
    show(wall, failing("a"), failing("b"), failing("c"))
    press = """(more) => document.body.dispatchEvent(
        new KeyboardEvent('keydown', {key: '[', ctrlKey: true, altKey: true, bubbles: true, ...more}))"""
    wall.page.evaluate(press, {})
    expect(attempts(wall).nth(2)).to_have_attribute("aria-pressed", "true")
    wall.page.evaluate(press, {"modifierAltGraph": True})
    expect(response(wall)).to_contain_text("Response to attempt 2 of")


def test_a_bracket_opens_the_round_of_its_attempt(wall: Board) -> None:
    show(wall, *[failing("a")] * 4)
    wall.press("Retry now")
    expect(attempts(wall)).to_have_count(5)
    expect(attempts(wall).nth(4)).to_be_visible()
    wall.page.reload()
    expect(attempts(wall).nth(4)).to_be_visible()
    expect(attempts(wall).nth(3)).to_be_hidden()
    wall.page.keyboard.press("[")
    expect(attempts(wall).nth(3)).to_be_focused()
    expect(response(wall)).to_contain_text("Response to attempt 4 of 4, round 1")
