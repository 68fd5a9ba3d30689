"""Failures by cause, search and deletion: in the command line, over a real server."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from tests.cli.terminal import localqueue_on_terminal
from tests.conftest import Shop
from tests.support import Reply, http


def reply(status: int, message: str) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps({"message": message}).encode(), {"Content-Type": "application/json"}


def answer(job: dict[str, Any]) -> Reply:
    if "claim" in job["data"]:
        return reply(500, f"claim {job['data']['claim']} has no policy")
    if "amount" in job["data"]:
        return reply(422, "the amount is negative")
    return 503 if "letter" in job["data"] else 200


@pytest.fixture
def causes(shop: Shop) -> Shop:
    """Return a server with 12 failures of three causes in two queues, and 2 completed jobs."""
    for queue in ("work", "other"):
        url = f"{shop.server.url}/_localqueue/queues/shop/{queue}"
        http.patch(url, json={"retries": 0}).raise_for_status()
    shop.worker.answer = answer
    for number in range(6):
        shop.server.enqueue({"claim": number})
    for number in range(4):
        shop.server.enqueue({"amount": -number - 1})
    for _ in range(2):
        shop.server.enqueue({"letter": True}, "other")
    for _ in range(2):
        shop.server.enqueue("fine")
    shop.shown("drain")
    return shop


def test_each_job_in_a_list_says_why_it_failed(causes: Shop) -> None:
    """Rule failures.summary."""
    lines = causes.shown("jobs", "--failed").splitlines()
    assert "why" in lines[0] and sum("has no policy" in line for line in lines) == 6
    listed = causes.server.get("/jobs")["jobs"]
    assert [job["summary"] for job in listed[:3]] == [None, None, "ok"]
    assert causes.server.job(listed[-1]["id"])["attempts"][0]["summary"] == "claim 0 has no policy"


def test_failures_are_grouped_by_cause_with_a_command_that_retries_them(causes: Shop) -> None:
    """Rule failures.groups: 12 failures are three lines, and one command retries a group."""
    text = causes.shown("jobs", "--by-error")
    assert [line for line in text.splitlines() if not line.startswith("  ")] == [
        "6 jobs  shop/work  500  claim # has no policy",
        "4 jobs  shop/work  422  the amount is negative",
        "2 jobs  shop/other  503  ok",
    ]
    assert len(re.findall(r"  such as [0-9a-f]{8}: claim [0-5] has no policy$", text, re.MULTILINE)) == 1
    assert len(re.findall(r"  such as [0-9a-f]{8}$", text, re.MULTILINE)) == 2
    commands = re.findall(r"localqueue (retry --failed --queue \S+ --error .*)$", text, re.MULTILINE)
    causes.worker.answer = lambda _: 200
    assert causes.shown(*shlex.split(commands[0])) == "retried 6 failed jobs\n"
    causes.shown("drain")
    left = causes.server.get("/failures")["failures"]
    assert [(each["count"], each["status"]) for each in left] == [(4, 422), (2, 503)]
    assert len(left[0]["jobs"]) == 2 and left[0]["firstAt"] <= left[0]["lastAt"]
    assert causes.shown("retry", "--failed", "--status", "503") == "retried 2 failed jobs\n"
    assert json.loads(causes.shown("jobs", "--by-error", "--json", "--queue", "shop/work"))["failures"][0]["count"] == 4


def test_a_cause_of_several_queues_is_one_with_the_jobs_of_each(causes: Shop) -> None:
    """Rule failures.groups."""
    causes.server.enqueue({"claim": 77}, "other")
    causes.shown("drain")
    first, queues, _, command = causes.shown("jobs", "--by-error").splitlines()[:4]
    assert first == "7 jobs  2 queues  500  claim # has no policy"
    assert queues == "  6 in shop/work, 1 in shop/other"
    [words] = re.findall(r"localqueue (retry --failed --error .* --status 500) --url", command)
    only_other = causes.shown("jobs", "--by-error", "--queue", "shop/other")
    assert "1 job  shop/other  500  claim 77 has no policy\n" in only_other
    causes.worker.answer = lambda _: 200
    assert causes.shown(*shlex.split(words)) == "retried 7 failed jobs\n"


def test_a_number_that_is_common_to_all_failures_of_a_cause_is_shown(shop: Shop) -> None:
    """Rule failures.groups: in the API, too, over all queues."""
    for queue in ("work", "other"):
        url = f"{shop.server.url}/_localqueue/queues/shop/{queue}"
        http.patch(url, json={"retries": 0}).raise_for_status()
    shop.worker.answer = lambda job: reply(500, f"claim {job['data']} isn't in region 7 ({job['queue']})")
    for number, queue in enumerate(["work", "work", "other"]):
        shop.server.enqueue(number, queue)
    shop.shown("drain")
    patterns = [each["pattern"] for each in shop.server.get("/failures")["failures"]]
    assert patterns == ["claim # isn't in region 7 (work)", "claim 2 isn't in region 7 (other)"]
    shop.worker.answer = lambda job: reply(500, f"claim {job['data']} isn't in region 7")
    shop.shown("retry", "--failed", "--error", patterns[0])
    shop.shown("retry", "--failed", "--error", patterns[1])
    shop.shown("drain")
    found = shop.server.get("/failures")["failures"]
    assert [(each["count"], each["pattern"]) for each in found] == [
        (2, "claim # isn't in region 7"),
        (1, "claim # isn't in region 7"),
    ]


def test_without_failures_it_says_so(shop: Shop) -> None:
    assert shop.shown("jobs", "--by-error") == "no failed jobs\n"
    assert "work only with --failed" in shop.failing("retry", "--error", "x", code=2)
    for option in (("--status", "500"), ("--since", "1h"), ("--search", "x"), ("--state", "queued")):
        assert "--by-error works only with" in shop.failing("jobs", "--by-error", *option, code=2)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--search", "amount"), 4),
        (("--search", '"claim":3'), 1),
        (("--search", "no policy"), 6),
        (("--search", "NO POLICY"), 0),
        (("--status", "503"), 2),
        (("--status", "200"), 2),
        (("--search", "claim", "--status", "422"), 0),
        (("--since", "10m"), 14),
        (("--since", "2099-01-01T00:00:00Z"), 0),
        (("--namespace", "depot"), 0),
        (("--namespace", "shop", "--state", "completed"), 2),
    ],
)
def test_jobs_are_found_by_their_payload_response_status_and_time(
    causes: Shop, words: tuple[str, ...], count: int
) -> None:
    """Rule jobs.search."""
    assert len(json.loads(causes.shown("jobs", *words, "--json"))["jobs"]) == count


def test_a_search_is_paged_and_says_how_far_it_went(causes: Shop) -> None:
    """Rule jobs.search."""
    seen = []
    after = ""
    while True:
        page = causes.server.get(f"/jobs?q=policy&limit=4{after}")
        seen += [job["seq"] for job in page["jobs"]]
        assert page["searched"] >= len(page["jobs"])
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == 6
    assert causes.server.get("/jobs")["searched"] is None


def test_a_mistyped_time_is_refused(shop: Shop) -> None:
    assert "--since must be a duration such as 10m, or a time such as 09:12" in shop.failing(
        "jobs", "--since", "soon", code=2
    )


def test_finished_jobs_are_deleted_one_by_one_or_all_at_once(causes: Shop) -> None:
    """Rule jobs.delete."""
    waiting = causes.server.enqueue("waits")
    [gone] = [job["id"] for job in causes.server.get("/jobs?q=%22claim%22%3A3")["jobs"]]
    assert causes.shown("delete", gone[-8:]) == f"deleted {gone[-8:]} in work\n"
    assert "there is no job" in causes.failing("delete", gone)
    assert "is queued; only completed, failed or cancelled jobs can be deleted" in causes.failing("delete", waiting)
    assert causes.shown("delete", "--state", "completed") == "deleted 2 jobs\n"
    assert causes.shown("delete", "--finished") == "deleted 11 jobs\n"
    assert [job["id"] for job in causes.server.get("/jobs")["jobs"]] == [waiting]
    counts = causes.server.get("/queues")["queues"]
    assert sum(sum(each["counts"].values()) for each in counts) == 1
    causes.shown("drain")
    assert causes.server.job(waiting)["state"] == "completed"
    assert "use one of: job IDs, --finished, --state" in causes.failing("delete", code=2)


def test_the_filters_of_jobs_select_what_is_retried_cancelled_or_deleted(causes: Shop) -> None:
    """Rule cli.bulk."""
    assert causes.shown("retry", "--failed", "--search", "claim", "--since", "10m") == "retried 6 failed jobs\n"
    assert causes.shown("cancel", "--unfinished", "--search", '"claim":3') == "cancelled 1 job\n"
    assert causes.shown("cancel", "--unfinished", "--queue", "other") == "cancelled no jobs\n"
    assert causes.shown("cancel", "--unfinished") == "cancelled 5 jobs\n"
    assert causes.shown("delete", "--finished", "--status", "422") == "deleted 4 jobs\n"
    assert causes.shown("delete", "--state", "failed", "--queue", "other") == "deleted 2 jobs\n"
    assert causes.shown("delete", "--finished", "--namespace", "shop") == "deleted 8 jobs\n"
    assert "work only with --unfinished" in causes.failing("cancel", "--queue", "other", code=2)
    assert "work only with --finished or --state" in causes.failing("delete", "x", "--status", "500", code=2)


def test_on_a_terminal_a_change_of_many_jobs_asks_first_and_says_how_many(causes: Shop) -> None:
    """Rule cli.bulk."""
    with localqueue_on_terminal("delete", "--state", "failed", "--url", causes.server.url) as found:
        found.wait_for("Delete 12 failed jobs? [y/N]")
        found.type("n\r")
        assert found.wait_end() == 1
    with localqueue_on_terminal("cancel", "--unfinished", "--url", causes.server.url) as found:
        assert found.wait_end() == 0
    assert len(causes.server.get("/jobs")["jobs"]) == 14


def test_a_reset_on_a_terminal_asks_first_unless_there_are_no_jobs(causes: Shop) -> None:
    """Rule cli.bulk."""
    command = ("reset", "--url", causes.server.url)
    with localqueue_on_terminal(*command) as found:
        found.wait_for("Delete 14 jobs and restore the initial state? [y/N]")
        found.type("n\r")
        assert found.wait_end() == 1
    assert len(causes.server.get("/jobs")["jobs"]) == 14
    for words in ((*command, "--yes"), command):
        with localqueue_on_terminal(*words) as found:
            assert found.wait_end() == 0
        assert causes.server.get("/jobs")["jobs"] == []
    causes.server.enqueue()
    assert causes.shown("reset").startswith("Reset.")
