"""The commands that look and act, against a real server on the virtual clock and a real worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localqueue import __version__
from localqueue.cli.output import table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter
from localqueue.core import html_text
from tests.cli.terminal import seen
from tests.conftest import Shop
from tests.support import Reply, client, http, localqueue, serving, until, write_catalog

BUSY: Reply = (503, b'{"error": "the scoring model is busy"}', {"Content-Type": "application/json"})
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m\u2028"


# looking at a job


def test_a_job_shows_every_attempt_with_its_response_and_when_the_next_one_is_due_and_why(shop: Shop) -> None:
    """Rule cli.job."""
    shop.script += [BUSY, 404]
    id_ = shop.server.enqueue({"claimId": 7})
    shop.shown("advance", "5s")
    shop.shown("advance", "1s")
    assert shop.job(id_) == (
        f"""work  SHORT  retrying
  id        ID
  service   shop
  enqueued  00:00:00.000Z, 6 s ago
  sent to   {shop.worker.url}/work
  payload   {{"claimId":7}}

  ● attempt 1/3  503 Service Unavailable
  │ due 00:00:00.000Z, started on time, took 0 ms
  │ content-type: application/json
  │   {{"error": "the scoring model is busy"}}
  │ next due 00:00:05.000Z: retry 1 of 2, 5000 ms after the end of the attempt
  ● attempt 2/3  404 Not Found
  │ due 00:00:05.000Z, started on time, took 0 ms
  │   ok
  │ next due 00:00:10.000Z: retry 2 of 2, 5000 ms after the end of the attempt
  │ POST /work, declared at catalog-info.yaml:7, has no handler, or its handler responded 404.
  │ curl -i -X POST -H 'Content-Type: application/json' -d '{{}}' {shop.worker.url}/work
  ○ attempt 3/3 is due in 4 s, at 00:00:10.000Z
    To run it now: localqueue advance 4s
"""
    )
    shop.shown("advance", "4s")  # as it says
    assert shop.job(id_).endswith(
        "  ✓ completed just now, at 00:00:10.000Z\n    To run it again: localqueue replay SHORT\n"
    )


@pytest.mark.parametrize(
    ("replies", "ending"),
    [
        ([], "  ○ attempt 1/3 is due now; virtual time is paused\n    To run it: localqueue advance 0s\n"),
        (
            [500] * 3,
            "  │ same response as attempt 3\n"
            "  │ next due 00:00:10.000Z: retry 2 of 2, 5000 ms after the end of the attempt\n"
            "  ● attempt 3/3  500 Internal Server Error\n"
            "  │ due 00:00:10.000Z, started on time, took 0 ms\n"
            "  │   ok\n"
            "  │ no retries left (retries: 2)\n"
            "  ✗ failed just now, at 00:00:10.000Z\n"
            "    Fix the handler, then run: localqueue retry SHORT\n",
        ),
    ],
)
def test_a_job_ends_with_what_can_be_done_now(shop: Shop, replies: list[Reply], ending: str) -> None:
    """Rule cli.job."""
    shop.script += replies
    id_ = shop.server.enqueue()
    if replies:
        shop.shown("drain")
    assert shop.job(id_).endswith(ending)


def test_a_held_job_says_why_it_is_held_and_how_to_resume_it(shop: Shop) -> None:
    """Rule cli.job, cli.act."""
    id_ = shop.server.enqueue(queue="other")
    assert shop.shown("pause", "other") == "paused shop/other\n"
    assert "attempt 1/4 is held: the queue is paused\n    To resume it: localqueue resume shop/other\n" in shop.job(id_)
    assert "paused" in shop.shown("queues")
    assert "held: the queue is paused" in shop.shown("jobs")
    assert shop.shown("resume", "other") == "resumed shop/other\n"
    assert "is due now" in shop.job(id_)


def test_a_body_is_folded_and_cut_with_a_note_and_shown_in_full_when_asked_for(shop: Shop) -> None:
    """Rule cli.job."""
    lines = [f"{number} {'x' * 200}" for number in range(100)]
    shop.script += [(500, "\n".join(lines).encode(), {"X-Trace": "t-1"})]
    id_ = shop.server.enqueue()
    shop.shown("advance", "0s")
    text = shop.shown("job", id_)
    assert "… 177 more lines: localqueue job" in text and "\n  │   99 x" not in text and "x-trace" not in text
    assert max(map(len, text.splitlines())) <= 160
    full = shop.shown("job", id_, "--full")
    assert "\n  │   99 x" in full and "x-trace: t-1" in full


EXPRESS = b"""<!DOCTYPE html>
<html lang="en"><head><title>Error</title><style>pre { color: red }</style></head>
<body><pre>TypeError: Cannot read properties of null (reading &#39;reduce&#39;)<br> &nbsp; &nbsp;at app.js:5:37</pre>
"""


def test_the_page_of_a_framework_is_shown_as_text(shop: Shop) -> None:
    """Rule cli.job."""
    shop.script += [(500, EXPRESS, {"Content-Type": "text/html; charset=utf-8"})]
    id_ = shop.server.enqueue()
    shop.shown("advance", "0s")
    assert (
        "  │ content-type: text/html; charset=utf-8 (as text)\n"
        "  │   Error\n"
        "  │   TypeError: Cannot read properties of null (reading 'reduce')\n"
        "  │       at app.js:5:37\n"
        "  │ next due"
    ) in shop.shown("job", id_)
    assert "<style>pre { color: red }</style>" in shop.shown("job", id_, "--full")


@pytest.mark.parametrize("part", ["<a ", "<!--", "<script>", "</", "&#1", " ", "<pre>", "<br>"])
def test_a_page_made_to_be_slow_is_not(part: str) -> None:
    """Rule cli.hostile-server."""
    assert html_text.as_text(part * 20_000)


def test_of_many_attempts_the_latest_are_shown(shop: Shop) -> None:
    """Rule cli.job."""
    url = f"{shop.server.url}/_localqueue/queues/shop/work"
    http.patch(url, json={"retries": 9})
    shop.script += [500] * 10
    id_ = shop.server.enqueue()
    shop.shown("drain")
    text = shop.shown("job", id_)
    assert "… 4 earlier attempts: localqueue job" in text and "attempt 4/10" not in text and "attempt 5/10" in text
    assert "attempt 1/10" in shop.shown("job", id_, "--full")


def test_a_service_that_does_not_listen_is_named_with_its_address(shop: Shop) -> None:
    """Rule cli.job."""
    url = f"{shop.server.url}/_localqueue/targets/shop"
    http.put(url, json={"url": "http://localhost:9"})
    id_ = shop.server.enqueue()
    shop.shown("advance", "0s")
    text = shop.shown("job", id_)
    assert "sent to   http://localhost:9/work" in text
    assert (
        "attempt 1/3  connect_refused" in text
        and "connection refused: nothing is listening on localhost:9. Is the service running?" in text
    )


# lists


def test_status_queues_and_jobs_show_what_there_is(shop: Shop) -> None:
    """Rule cli.lists."""
    shop.script += [500]
    retrying = shop.server.enqueue({"claimId": 7})
    shop.shown("advance", "1s")
    queued = shop.server.enqueue(queue="other")
    status = shop.shown("status")
    assert f"{shop.server.url}, localqueue {__version__}, pid {shop.server.process.pid}, up for" in status
    assert "2026-01-01 00:00:01.000Z, virtual clock, moved by +1.000s" in status
    assert f"shop at {shop.worker.url}: listening\n" in status
    assert status.endswith(shop.shown("queues"))
    row = next(line for line in status.splitlines() if line.startswith("shop/work")).split()
    assert row[:7] == ["shop/work", "0", "0/5", "1", "0", "0", "0"]
    assert shop.shown("jobs") == (
        "job       queue  state     attempt  last  why  when             payload        enqueued\n"
        f"{queued[-8:]}  other  queued    0/4                 due now          null           00:00:01.000Z\n"
        f'{retrying[-8:]}  work   retrying  1/3      500   ok   next try in 4 s  {{"claimId":7}}  00:00:00.000Z\n'
    )
    assert "/other, 3 retries after 5 s, timeout 30 s" in status
    settings = f"{shop.server.url}/_localqueue/queues/shop/other"
    http.patch(settings, json={"retries": 0}).raise_for_status()
    assert "/other, no retries, timeout 30 s" in shop.shown("queues")


def test_status_says_what_is_wrong(tmp_path: Path) -> None:
    """Rule cli.lists."""
    catalog = write_catalog(tmp_path)
    with serving(tmp_path, "--target", "http://localhost:9") as server:
        catalog.write_text(catalog.read_text().replace("/work", "work"))
        until(lambda: server.get("/status")["catalog"]["refused"], "the edit was refused")
        text = localqueue("status", "--url", server.url).stdout
    assert f"{tmp_path}/.localqueue/queue.db, " in text
    assert "shop at http://localhost:9: not running; start it" in text
    assert "catalog  catalog-info.yaml:7:" in text


def test_jobs_are_chosen_by_queue_state_and_limit_over_several_pages(shop: Shop) -> None:
    """Rule cli.lists."""
    for _ in range(3):
        shop.server.enqueue()
    shop.server.enqueue(queue="other")
    assert shop.shown("jobs", "--queue", "other").count("\n") == 2
    assert shop.shown("jobs", "--queue", "shop/work", "--state", "queued").count("\n") == 4
    assert shop.shown("jobs", "--state", "failed") == "no matching jobs\n"
    assert "unknown namespace 'shpo'; declared: shop, depot\n" in shop.failing("jobs", "--namespace", "shpo")
    assert shop.shown("jobs", "--limit", "2").count("\n") == 3
    with client(shop.server.url) as connection:
        for _ in range(200):
            connection.post("/jobs", json={"namespace": "shop", "queue": "work"})
    found = json.loads(shop.shown("jobs", "--limit", "203", "--json"))
    assert len({job["id"] for job in found["jobs"]}) == 203 and found["next"] is not None


def test_empty_lists_say_how_to_start(shop: Shop) -> None:
    """Rule cli.lists."""
    assert shop.shown("jobs").startswith("No jobs yet. To enqueue one: localqueue enqueue ")


def test_json_keeps_what_was_sent_to_the_last_digit(shop: Shop) -> None:
    """Rule cli.json."""
    raw = '{"big":12345678901234567890,"one":1.0,"huge":1E400,"a":1,"a":2,"text":"\\u00e9é\\ud800"}'
    id_ = shop.shown("enqueue", "work", raw, "--namespace", "shop").strip()
    assert f"payload   {raw}\n" in shop.shown("job", id_)
    shown = shop.shown("job", id_, "--json")
    assert all(f'"{part}' in shown for part in ('big": 12345678901234567890,', 'one": 1.0,', 'huge": 1E400,', 'a": 1,'))
    assert '"text": "\\u00e9é\\ud800"' in shown
    assert json.loads(shown)["data"]["big"] == 12345678901234567890


@pytest.mark.parametrize("command", ["status", "queues", "jobs", "clock"])
def test_every_list_is_there_as_json(shop: Shop, command: str) -> None:
    """Rule cli.json."""
    shop.server.enqueue()
    shown = json.loads(shop.shown(command, "--json"))
    there = shop.server.get(f"/{command}" + "?limit=20" * (command == "jobs"))
    for found in (shown, there):
        found.pop("uptimeMs", None)
    assert shown == there


def test_foreign_text_can_t_control_the_terminal(shop: Shop) -> None:
    """Rule security.terminal."""
    shop.script += [(500, f"a{HOSTILE}\r\nb".encode(), {"Content-Type": "text/\x1b[31mplain"})]
    id_ = shop.server.enqueue({HOSTILE: HOSTILE})
    shop.shown("advance", "0s")
    for words in (["job", id_, "--full"], ["job", id_, "--json"]):
        found = seen(*words, "--url", shop.server.url)
        assert not set(HOSTILE) & set("\x1b\x07\u202e\u009b\u2028") & set("".join(found.lines)), words
    for words in (["jobs"], ["jobs", "--json"], ["queues", "--json"], ["ledger"], ["job", id_]):
        assert not set("\x1b\x07\u202e\u009b\u2028") & set(shop.shown(*words)), words
    text = shop.shown("job", id_)
    assert r"a\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\u2028" in text
    assert json.loads(shop.shown("job", id_, "--json"))["data"] == {HOSTILE: HOSTILE}
    assert r"unknown queue '\\x1b[2J'" in shop.failing("pause", "\x1b[2J")


# terminals


def test_columns_shrink_before_the_last_ones_are_left_out() -> None:
    """Rule cli.terminal."""
    columns = [Column("name", least=6), Column("n", is_right=True), Column("note")]
    rows = [[Cell("a-long-name"), Cell("7"), Cell("漢字")], [Cell("b"), Cell("12"), Cell("")]]

    def shown(room: int | None) -> list[str]:
        return table.lines(columns, rows, Painter(False), room)

    assert shown(None) == ["name          n  note", "a-long-name   7  漢字", "b            12"]
    assert shown(18) == ["name       n  note", "a-long-…   7  漢字", "b         12"]
    assert shown(15) == ["name          n", "a-long-name   7", "b            12"]
    assert shown(4) == ["name", "a-l…", "b"]


def test_the_command_for_more_jobs_has_the_same_filters(shop: Shop) -> None:
    """Rule cli.terminal."""
    shop.script += [500, 500]
    for _ in range(2):
        shop.server.enqueue()
    shop.shown("advance", "0s")
    given = ["--namespace", "shop", "--status", "500", "--since", "9999999999d", "--queue", "work", "--limit", "1"]
    found = seen("jobs", *given, "--url", shop.server.url, columns=200)
    [hint] = [line for line in found.lines if "For more:" in line]
    for option in ("--namespace shop", "--status 500", "--since 9999999999d", "--queue work", "--limit 5"):
        assert option in hint


@pytest.mark.parametrize("columns", [60, 100])
def test_on_a_terminal_nothing_is_wider_than_it_and_colors_are_used(shop: Shop, columns: int) -> None:
    """Rule cli.terminal."""
    shop.script += [(500, b"y" * 500, {})]
    id_ = shop.server.enqueue({"text": "é漢字" * 100})
    shop.shown("advance", "0s")
    for words in (["status"], ["jobs"], ["job", id_]):
        found = seen(*words, "--url", shop.server.url, columns=columns)
        assert "\x1b[" in found.screen
        wide = [line for line in found.lines if len(line) > columns and "--url" not in line]
        assert wide == [], words


def test_what_the_encoding_of_a_terminal_lacks_is_escaped(shop: Shop) -> None:
    """Rule cli.terminal."""
    id_ = shop.server.enqueue("é漢")
    found = seen("job", id_, "--url", shop.server.url, encoding="latin-1", PYTHONIOENCODING="latin-1")
    assert 'payload   "é\\u6f22"' in found.lines[4]


def test_colors_are_left_out_where_nobody_wants_them(shop: Shop) -> None:
    """Rule cli.terminal."""
    shop.server.enqueue()
    url = ("--url", shop.server.url)
    assert "\x1b[" in seen("jobs", *url).screen
    assert "\x1b[" not in shop.shown("jobs")
    for found in (
        seen("jobs", "--no-color", *url),
        seen("jobs", *url, NO_COLOR="1"),
        seen("jobs", *url, LOCALQUEUE_NO_COLOR="1"),
    ):
        assert "\x1b[" not in found.screen
