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

from docs import animation
from tests.dashboard.browser import Board, board, browsing
from tests.support import Reply, Worker, serving, working

PICTURES = Path(__file__).parent / "pictures"
FONTS = "document.documentElement.style.setProperty('--sans', 'Inter, system-ui, sans-serif')"
CAPTION = """(text) => {
    const made = document.querySelector("#caption") ?? document.body.appendChild(document.createElement("div"));
    made.id = "caption";
    made.textContent = text;
    made.style.cssText = "position: fixed; left: 50%; bottom: 20px; transform: translateX(-50%); padding: 8px 16px; "
        + "border-radius: 8px; background: #222; color: #fff; font: 600 16px system-ui, sans-serif; z-index: 9";
}"""
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
NO_AMOUNT = b'{"error": "claim 7 has no amount", "trace": ["process_claim (claims.py:42)", "amount_of (claims.py:18)"]}'


def answer(job: dict[str, Any]) -> Reply:
    """Fail as handlers do: some always, some at first."""
    data = job["data"]
    if data.get("claimId") == 7:
        return 500, NO_AMOUNT, JSON_TYPE
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
                enqueue(found, "process-claim", {"claimId": 11 + number, "amount": 125.5 + number})
            enqueue(found, "send-letter", {"to": "ada@example.com", "letter": "claim-received"})
            for number in range(3):
                enqueue(found, "score-claim", {"claimId": 11 + number, "model": 1 + number})
            claim = {
                "claimId": 7,
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
    found.rows().filter(has_text="has no amount").click()
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


def take_clip(found: Board) -> None:
    """Show a failure, its reason, the retry after the fix, and the end."""
    frames: list[animation.Frame] = []

    def frame(caption: str, shown_ms: int) -> None:
        found.page.evaluate(CAPTION, caption)
        found.page.wait_for_timeout(300)
        frames.append((found.page.screenshot(), shown_ms))

    found.open()
    found.page.evaluate(FONTS)
    found.page.mouse.move(0, 0)
    letter = found.rows().filter(has_text="ada@example.com")
    letter.wait_for()
    frame("A job has failed, and the list says why.", 2500)
    letter.click()
    found.job().locator(".response").wait_for()
    frame("502: this is what the handler responded.", 3000)
    found.worker.answer = lambda _: (200, b'{"sent": true}', JSON_TYPE)
    frame("Fix the handler, then: Retry now.", 2500)
    found.press("Retry now")
    found.see("completed").first.wait_for()
    found.page.wait_for_timeout(1500)  # until the queues show it, too
    frame("Completed.", 3500)
    animation.write(PICTURES / "clip.png", frames)


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(exist_ok=True)
    small = {"viewport": {"width": 1200, "height": 620}, "device_scale_factor": 2}
    with browsing() as browser, working() as worker:
        with scene(browser, worker, viewport={"width": 960, "height": 520}) as found:
            take_clip(found)
        with scene(browser, worker, **small) as found:
            found.open()
            take(found.page, "jobs")
            found.page.wait_for_timeout(6000)
            failing(found)
            take(found.page, "job")
            found.page.emulate_media(color_scheme="dark")
            take(found.page, "job-dark")
            found.page.emulate_media(color_scheme="light")
            queue(found)
            take(found.page, "queue")
        with scene(browser, worker, "--clock", "virtual", color_scheme="dark", **small) as found:
            found.post("/clock/advance", {"ms": 5000})
            found.open()
            failing(found)
            take(found.page, "virtual")
        with scene(browser, worker, viewport={"width": 400, "height": 720}, device_scale_factor=2) as found:
            found.open()
            failing(found)
            take(found.page, "narrow")


if __name__ == "__main__":
    main()
