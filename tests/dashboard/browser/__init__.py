"""Drive the dashboard in a real Chromium, and see to it that nothing goes wrong in it unnoticed."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.support import JSON, Reply, Server, Worker, client, http, next_reply, until

FOLDER = Path(__file__).parent
NAMES = (
    "chromium-headless-shell",  # half the CPU time of the whole browser
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
ARGUMENTS = [
    "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--no-proxy-server",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--renderer-process-limit=1",  # the pages of a context share a process, which knows the dashboard's code already
]  # fmt: skip
WAIT_MS = 20_000
STATE = "/_localqueue/static/state.js"


def chromium() -> str | None:
    """Return the path of an installed Chromium; LOCALQUEUE_CHROMIUM names another one."""
    return os.environ.get("LOCALQUEUE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Run a browser; where there is none, skip."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: the dashboard was not tested; with Debian: apt-get install chromium")
    expect.set_options(timeout=WAIT_MS)
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            _context(browser).new_page()  # it stays empty, and keeps the process of the other pages
            yield browser
        finally:
            browser.close()


@dataclass
class Board:
    """Hold the dashboard in a page of its own, the server behind it, and the worker behind that."""

    page: Page
    server: Server
    worker: Worker
    script: list[Reply] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, address: str = "") -> None:
        """Go to a screen, and wait until it is live and knows the queues and the jobs that it shows."""
        self.page.goto(f"{self.server.url}/_localqueue/{address}")
        expect(self.page.locator(".link")).to_have_text("live")
        known = "({ state }) => state.queues !== null && !state.list.isLoading"
        until(lambda: self.page.evaluate(f"import('{STATE}').then({known})"), "queues and jobs are fetched")

    def open_module(self, name: str) -> None:
        """Show the source of a module, on a page whose scripts can import it without the dashboard around it."""
        self.page.goto(f"{self.server.url}/_localqueue/static/{name}")

    def post(self, path: str, content: Any = None) -> Any:
        """Call the control API."""
        answer = http.post(f"{self.server.url}/_localqueue{path}", json=content or {}, headers=JSON)
        assert answer.is_success, answer.text
        return answer.json()

    def enqueue(self, *payloads: bytes, namespace: str = "shop") -> list[str]:
        """Enqueue jobs in the queue `work`, over one connection; return their ids."""
        with client(self.server.url, headers=JSON) as connection:
            head = b'{"namespace":"%s","queue":"work","data":' % namespace.encode()
            bodies = [head + payload + b"}" for payload in payloads]
            return [connection.post("/jobs", content=body).json()["id"] for body in bodies]

    def wait(self, state: str, count: int, queue: str = "shop/work") -> None:
        """Wait until so many jobs of a queue are in a state."""
        until(lambda: self._count(state, queue) == count, f"{count} jobs of {queue} are {state}")

    def _count(self, state: str, queue: str) -> int:
        queues = {
            f"{each['namespace']}/{each['name']}": each["counts"] for each in self.server.get("/queues")["queues"]
        }
        return int(queues[queue][state])

    def wait_drawn(self) -> None:
        """Wait until the page is drawn as it is now: what it holds, it may show a tenth of a second later."""
        self.page.evaluate(f"import('{STATE}').then(({{ afterDrawing }}) => new Promise(afterDrawing))")

    def go(self, address: str) -> None:
        """Go to another screen of the open page."""
        self.page.evaluate("(address) => { location.hash = address }", address)

    def hold(self) -> threading.Event:
        """Let the worker answer only once the event is set."""
        release = threading.Event()
        self.worker.answer = lambda _: 200 if release.wait(WAIT_MS / 1000) else 500
        return release

    def see(self, text: str) -> Locator:
        """Return what shows a text, once it does."""
        found = self.page.get_by_text(text).first
        expect(found).to_be_visible()
        return found

    def press(self, label: str) -> None:
        """Press the button of that name."""
        self.page.get_by_role("button", name=label, exact=True).first.click()

    def rows(self) -> Locator:
        return self.page.locator("#rows a.row")

    def row(self, id_: str) -> Locator:
        return self.page.locator(f'#rows a.row[data-id="{id_}"]')

    def job(self) -> Locator:
        return self.page.locator("#job")

    def notice(self, message: Any) -> None:
        """Take down what the console says; a lost connection is no news where it is expected."""
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def check(self) -> None:
        """Fail if the page made an error, broke its policy, opened a dialog, or asked another server."""
        assert self.problems == []
        assert [url for url in self.asked if not url.startswith((self.server.url, "data:"))] == []


@contextlib.contextmanager
def board(browser: Browser, server: Server, worker: Worker, **options: Any) -> Iterator[Board]:
    """Open an empty page over a server after a reset; with options, in a context of its own."""
    http.post(f"{server.url}/_localqueue/reset", headers=JSON)
    context = _context(browser, **options) if options else browser.contexts[0]
    found = Board(context.new_page(), server, worker)
    stored = {"origin": server.url, "storageTypes": "local_storage"}
    context.new_cdp_session(found.page).send("Storage.clearDataForOrigin", stored)
    worker.bodies.clear()
    worker.answer = lambda _: next_reply(found.script)
    handlers: dict[Any, Any] = {
        "console": found.notice,
        "weberror": lambda error: found.problems.append(str(error.error)),
        "dialog": lambda dialog: found.problems.append(f"dialog: {dialog.message}"),
        "request": lambda request: found.asked.append(request.url),
    }
    for event, handler in handlers.items():
        context.on(event, handler)
    try:
        yield found
        found.check()
    finally:
        for event, handler in handlers.items():
            context.remove_listener(event, handler)
        if options:
            context.close()
        else:
            for page in context.pages[1:]:
                page.close()


def _context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a context whose pages report breaches of their policy as errors of the console."""
    context = browser.new_context(**{"viewport": {"width": 1300, "height": 800}, **options})
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective}`))"
    )
    return context


def axe_in_light_and_dark(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is; the two schemes differ only in their colors."""
    page.emulate_media(color_scheme="light")
    found = axe(page)
    page.emulate_media(color_scheme="dark")
    return found + axe(page, {"runOnly": ["color-contrast", "link-in-text-block"]})


def axe(page: Page, options: Any = None) -> list[str]:
    """Return what axe finds wrong with the page as it is; skip where axe is not installed."""
    path = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("no axe-core: the dashboard's accessibility was not tested; run tests/dashboard/browser/install")
    if not page.evaluate("'axe' in window"):
        page.evaluate(path.read_text())  # the policy forbids scripts of others, not those of the debugger
    found = page.evaluate("(options) => axe.run(document, {resultTypes: ['violations'], ...options})", options)
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
