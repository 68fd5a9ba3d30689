"""The causes of failures, and the search by text, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.dashboard.browser import board
from tests.docs.pages import ENV
from tests.support import Reply, Worker, serving, until, working, write_catalog


def answer(job: dict[str, Any]) -> Reply:
    content = {"Content-Type": "application/json"}
    if job["data"]["claim"] % 3 == 0:
        return 500, json.dumps({"message": f"claim {job['data']['claim']} has no policy"}).encode(), content
    return 503, b"the model is busy", {}


def targets(worker: Worker) -> list[str]:
    return [f"--target={namespace}={worker.url}" for namespace in ("shop", "letters")]


def test_three_hundred_failures_in_two_services_are_two_causes_and_one_click_retries_one(
    browser: Browser, tmp_path: Path
) -> None:
    """Rule failures.groups, dashboard.causes."""
    catalog = write_catalog(tmp_path, retries=0)
    shop = catalog.read_text()
    catalog.write_text(f"{shop}---\n{shop.replace('name: shop', 'name: letters')}")
    with (
        working() as worker,
        serving(tmp_path, "--ephemeral", *targets(worker)) as server,
        board(browser, server, worker) as found,
    ):
        worker.answer = answer
        claims = [b'{"claim":%d}' % number for number in range(300)]
        found.enqueue(*claims[::4], namespace="letters")
        found.enqueue(*(claim for number, claim in enumerate(claims) if number % 4))
        found.wait("failed", 225)
        found.wait("failed", 75, queue="letters/work")
        found.open("#/?state=failed")
        causes = found.page.get_by_label("By error").get_by_role("listitem")
        expect(causes).to_have_count(2)
        expect(causes.first).to_contain_text("200503 the model is busyshop/work 150, letters/work 50, latest")
        expect(causes.last).to_contain_text("100500 claim # has no policyshop/work 75, letters/work 25, latest")
        expect(causes.last).to_contain_text(re.compile(r", such as: claim \d+ has no policy"))
        worker.answer = lambda _: 200
        causes.first.get_by_role("button", name="Retry 200").click()
        found.see("200 failed jobs retried")
        expect(causes).to_have_count(1)
        found.wait("completed", 150)
        found.wait("completed", 50, queue="letters/work")
        expect(found.rows().first).to_contain_text("has no policy")
        found.go("#/queues/letters/work?state=failed")
        expect(causes).to_have_count(1)
        causes.first.get_by_role("button", name="Retry 25").click()
        found.wait("completed", 75, queue="letters/work")
        assert server.get("/failures")["failures"][0]["count"] == 75


def test_a_text_finds_jobs_by_payload_and_response(browser: Browser, tmp_path: Path) -> None:
    """Rule jobs.search, dashboard.search."""
    write_catalog(tmp_path, retries=0)
    with (
        working() as worker,
        serving(tmp_path, "--ephemeral", "--target", worker.url) as server,
        board(browser, server, worker) as found,
    ):
        worker.answer = answer
        for number in range(5):
            server.enqueue({"claim": number})
        found.wait("failed", 5)
        found.open()
        box = found.page.get_by_role("searchbox")
        box.fill("claim 3 has")
        expect(found.rows()).to_have_count(1)
        assert "q=claim" in found.page.url
        box.fill('"3"')
        expect(found.rows()).to_have_count(1)
        box.fill("busy")
        expect(found.rows()).to_have_count(3)
        box.fill("nothing like it")
        expect(found.rows()).to_have_count(0)
        box.fill("")
        expect(found.rows()).to_have_count(5)


def test_a_delivery_is_copied_as_curl_and_as_enqueue(browser: Browser, tmp_path: Path) -> None:
    """Rule dashboard.copy: both commands run as they are."""
    write_catalog(tmp_path, retries=0)
    with (
        working() as worker,
        serving(tmp_path, "--ephemeral", "--target", worker.url) as server,
        board(browser, server, worker, permissions=["clipboard-read", "clipboard-write"]) as found,
    ):
        data = 'it\'s a "test" é $HOME'
        id_ = server.enqueue(data)
        server.wait_state(id_, "completed")
        found.open(f"#/jobs/{id_}")
        for count, name in enumerate(("Copy as curl", "Copy as enqueue"), 1):
            found.job().get_by_role("button", name=name).click()
            expect(found.page.get_by_text("Copied", exact=True)).to_have_count(count)
            command = found.page.evaluate("navigator.clipboard.readText()")
            env = ENV | {"IEC_QUEUE_URL": server.url, "no_proxy": "*"}
            subprocess.run(["sh", "-c", command], env=env, check=True, capture_output=True, timeout=30)
        until(lambda: len(worker.bodies) == 3, "the handler was called twice more")
        assert worker.bodies[0] == worker.bodies[1]
        assert worker.jobs[2]["data"] == data
