"""Take the pictures of the dashboard for the documents: `make pictures`. It needs Chromium, as the tests do."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.dashboard.browser import Board, board, browsing
from tests.support import Reply, Worker, serving, working

PICTURES = Path(__file__).parent / "pictures"
FONTS = "document.documentElement.style.setProperty('--sans', 'Inter, system-ui, sans-serif')"
CATALOG = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: claims-service
  annotations: {insureco.io/port: "3000"}
spec:
  queues:
    - {name: process-claim, endpoint: /internal/jobs/process-claim}
    - {name: score-claim, endpoint: /internal/jobs/score-claim, concurrency: 2, retryDelayMs: 8000}
    - {name: import-claims, endpoint: /internal/jobs/import-claims, concurrency: 1}
    - {name: send-letter, endpoint: /internal/jobs/send-letter, retries: 0}
"""
JSON_TYPE = {"Content-Type": "application/json"}
NOT_FOUND = (
    b'{"error": "claim not found", "claimId": "c-1042", "trace": ["process_claim (claims.py:42)", "load (db.py:118)"]}'
)


def answer(job: dict[str, Any]) -> Reply:
    """Fail as handlers do: some always, some at first."""
    data = job["data"]
    if data.get("claimId") == "c-1042":
        return 500, NOT_FOUND, JSON_TYPE
    if "to" in data:
        return 502, b'{"error": "mail gateway is down"}', JSON_TYPE
    if job["queue"] == "score-claim" and job["attempt"] < data["model"]:
        return 503, b'{"error": "the model is busy"}', JSON_TYPE
    return 200, b'{"status": "done"}', JSON_TYPE


@contextlib.contextmanager
def scene(browser: Browser, worker: Worker, *options: str, **context: Any) -> Iterator[Board]:
    """Open the dashboard over a server with a few jobs."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "catalog-info.yaml").write_text(CATALOG)
        with (
            serving(Path(folder), "--ephemeral", "--target", worker.url, *options) as server,
            board(browser, server, worker, **context) as found,
        ):
            worker.answer = answer
            for number in range(9):
                enqueue(found, "process-claim", {"claimId": f"c-{1030 + number}", "amount": 125.5 + number})
            enqueue(found, "send-letter", {"to": "ada@example.com", "letter": "claim-received"})
            for number in range(3):
                enqueue(found, "score-claim", {"claimId": f"c-{1030 + number}", "model": 1 + number})
            claim = {
                "claimId": "c-1042",
                "policy": {"number": 9007199254740993, "rate": 1.0},
                "tags": ["auto", "glass"],
            }
            enqueue(found, "process-claim", claim)
            yield found


def enqueue(found: Board, queue: str, data: Any) -> None:
    found.post("/../jobs", {"namespace": "claims-service", "queue": queue, "data": data})


def take(page: Page, name: str) -> None:
    page.evaluate(FONTS)
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    if shutil.which("pngquant"):
        subprocess.run(
            ["pngquant", "--force", "--skip-if-larger", "--output", str(path), "256", str(path)], check=False
        )


def failing(found: Board) -> None:
    """Open the job that fails."""
    found.rows().filter(has_text="c-1042").click()
    found.job().locator(".response").wait_for()


def queue(found: Board) -> None:
    """Open a queue with a changed setting and selected jobs."""
    found.go("#/queues/claims-service/process-claim")
    found.press("concurrency 5")
    found.page.get_by_label("concurrency", exact=True).fill("12")
    found.press("Save")
    for number in (2, 3):
        found.page.locator("#rows").get_by_role("checkbox").nth(number).click()
    for toast in range(found.page.locator(".toast").count()):
        found.page.locator(".toast button").nth(toast).click()
    found.page.locator(".recent").wait_for()


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(exist_ok=True)
    small = {"viewport": {"width": 1200, "height": 620}}
    with browsing() as browser, working() as worker:
        with scene(browser, worker, **small) as found:
            found.open()
            take(found.page, "jobs")
            found.page.wait_for_timeout(6000)
            failing(found)
            take(found.page, "job")
            queue(found)
            take(found.page, "queue")
        with scene(browser, worker, "--clock", "virtual", color_scheme="dark", **small) as found:
            found.post("/clock/advance", {"ms": 5000})
            found.open()
            failing(found)
            take(found.page, "virtual")
        with scene(browser, worker, viewport={"width": 400, "height": 720}) as found:
            found.open()
            failing(found)
            take(found.page, "narrow")


if __name__ == "__main__":
    main()
