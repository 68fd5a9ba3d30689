"""Explanations are in the log once, on the page of the job, in `doctor`, and in the status until a reset."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.conftest import Shop
from tests.forking import ForkedPopen
from tests.support import free_port, http, localqueue, serving, until, working, write_catalog

SUCCESS_FALSE = (200, b'{"success": false}', {"Content-Type": "application/json"})
TEXT = "the body says success: false, but 200 completes the job: production won't retry it."


def test_the_log_explains_each_condition_once_for_a_queue(tmp_path: Path) -> None:
    """Rule explain.log: with `success: false` on 200, the log says what production will do."""
    write_catalog(tmp_path)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with (
        working(lambda _: SUCCESS_FALSE) as worker,
        ForkedPopen(["up", "--port", "0", "--target", worker.url], cwd=tmp_path, text=True, **pipe) as process,
    ):
        url = next(line for line in process.stdout if "export IEC_QUEUE_URL=" in line).split("=", 1)[1].strip()
        for number, queue in enumerate(["work", "work", "other", "work"], 1):
            http.post(f"{url}/jobs", json={"namespace": "shop", "queue": queue})
            until(lambda count=number: len(worker.bodies) == count, "it was delivered")  # type: ignore[misc]
        process.send_signal(2)
        notes = re.findall("^note: (.+?): (.+)\n  (.+)$", process.stdout.read(), re.MULTILINE)
    assert [where for where, _, _ in sorted(notes)] == ["shop/other", "shop/work"]
    assert all(TEXT in text and command.startswith("localqueue replay ") for _, text, command in notes)


def test_the_page_of_a_job_explains_its_latest_attempt(shop: Shop) -> None:
    """Rule explain.conditions."""
    shop.script += [SUCCESS_FALSE]
    id_ = shop.server.enqueue()
    shop.shown("drain")
    text = shop.job(id_)
    assert "\n  │ The body says success: false, but 200 completes the job: production won't retry it." in text
    assert "\n    To run it again: localqueue replay SHORT" in text


def test_the_retry_of_an_explained_failure_follows_its_fix(shop: Shop) -> None:
    """Rule explain.conditions."""
    shop.script += [404] * 3
    id_ = shop.server.enqueue()
    shop.shown("drain")
    assert shop.job(id_).endswith("\n    Once the cause is fixed, run: localqueue retry SHORT\n")


def test_doctor_lists_how_attempts_ended_until_a_reset(shop: Shop) -> None:
    """Rule explain.conditions, cli.doctor."""
    shop.script += [404, SUCCESS_FALSE, SUCCESS_FALSE]
    for _ in range(2):
        shop.server.enqueue()
    shop.shown("drain")
    text = " ".join(shop("doctor").stdout.split())
    assert f"attempts shop/work: 2 attempts, the latest just now: {TEXT}" in text
    assert re.search("attempts shop/work: 1 attempt, .+ ago: POST /work, declared at .+, has no handler", text)
    assert [each["explanation"]["condition"] for each in shop.server.get("/status")["explanations"]] == [
        "success_false",
        "wrong_path",
    ]
    shop.shown("reset")
    assert shop.server.get("/status")["explanations"] == []


def test_a_service_that_is_listening_is_no_longer_reported_as_down(tmp_path: Path) -> None:
    """Rule explain.conditions, cli.doctor: `status` and `doctor` had a note about it until a reset."""
    port = free_port()
    write_catalog(tmp_path, retries=0)
    with serving(tmp_path, "--ephemeral", "--target", f"http://localhost:{port}") as server:
        id_ = server.enqueue()
        server.wait_state(id_, "failed")
        with working(port=port):
            assert server.get("/status")["explanations"] == []
            assert "nothing is listening" not in localqueue("doctor", "--url", server.url).stdout
        assert server.job(id_)["attempts"][0]["explanation"]["condition"] == "service_down"
