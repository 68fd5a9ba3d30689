"""A page of another origin, in a real browser: it creates no job, reads no byte and frames nothing."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.dashboard.browser import WAIT_MS
from tests.support import JSON, Server, http, on_thread, serving, write_catalog

SECRET = "a payload that no other page may read"
JOB = '{"namespace":"shop","queue":"work","data":"forged"}'
FORM = """(method, type, fields) => {
    const frame = document.createElement("iframe");
    frame.name = "f" + Math.random();
    document.body.appendChild(frame);
    const form = document.body.appendChild(document.createElement("form"));
    Object.assign(form, {method, enctype: type, action: `${queue}/jobs`, target: frame.name});
    for (const [name, value] of Object.entries(fields)) {
        form.appendChild(Object.assign(document.createElement("input"), {name, value}));
    }
    return new Promise((resolve) => {
        frame.onload = () => { try { resolve(frame.contentDocument.body.textContent); } catch { resolve(""); } };
        form.submit();
    });
}"""
ELEMENT = """(tag, attributes) => new Promise((resolve) => {
    const made = document.createElement(tag);
    made.onload = () => resolve(tag === "iframe" ? framed(made) : "loaded");
    made.onerror = () => resolve("");
    document.body.appendChild(Object.assign(made, attributes));
})"""
READ = "(response) => response.text().catch(() => '')"
VECTORS = {
    "form, text/plain": f"({FORM})('POST', 'text/plain', {{'{JOB[:-2]}': '\"}}'}})",
    "form, urlencoded": f"({FORM})('POST', 'application/x-www-form-urlencoded', {{namespace: 'shop', queue: 'work'}})",
    "form, multipart": f"({FORM})('POST', 'multipart/form-data', {{namespace: 'shop', queue: 'work'}})",
    "fetch without CORS": f"fetch(queue + '/jobs', {{method: 'POST', mode: 'no-cors', body: job}}).then({READ})",
    "fetch of JSON": f"fetch(queue + '/jobs', {{method: 'POST', body: job, headers: json}}).then({READ})",
    "reset": f"fetch(control + '/reset', {{method: 'POST', headers: json}}).then({READ})",
    "beacon": "(navigator.sendBeacon(queue + '/jobs', new Blob([job], {type: 'text/plain'})), '')",
    "fetch of jobs": f"fetch(control + '/jobs').then({READ})",
    "fetch of jobs without CORS": f"fetch(control + '/jobs', {{mode: 'no-cors'}}).then({READ})",
    "events": "new Promise((resolve) => Object.assign(new EventSource(control + '/events'), "
    "{onmessage: (event) => resolve(event.data), onerror: () => resolve('')}))",
    "socket": "new Promise((resolve) => Object.assign(new WebSocket(control.replace('http', 'ws') + '/events'), "
    "{onopen: () => resolve('open'), onerror: () => resolve('')}))",
    "script": f"({ELEMENT})('script', {{src: control + '/jobs'}})",
    "script of the dashboard": f"({ELEMENT})('script', {{src: control + '/static/app.js', type: 'module'}})",
    "style": f"({ELEMENT})('link', {{rel: 'stylesheet', href: control + '/jobs'}})",
    "image": f"({ELEMENT})('img', {{src: control + '/jobs'}})",
    "frame": f"({ELEMENT})('iframe', {{src: control + '/'}})",
}
"""What a page tries; each returns what it could read. `queue` and `control` are URLs of the server, `json` headers."""


class _Page(BaseHTTPRequestHandler):
    """Be the page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body></body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shop")
    write_catalog(folder)
    with serving(folder, "--target", "http://127.0.0.1:9") as found:
        http.post(f"{found.url}/_localqueue/queues/shop/work/pause", headers=JSON).raise_for_status()
        found.enqueue(SECRET)
        yield found


@pytest.fixture(scope="module")
def foreign(browser: Any, server: Server) -> Iterator[Page]:
    with on_thread(ThreadingHTTPServer(("127.0.0.1", 0), _Page)) as site:
        page = browser.new_page()
        page.goto(f"http://evil.example:{site.server_port}/")
        page.evaluate(
            """([url, job]) => Object.assign(window, {
                job, json: {"Content-Type": "application/json"}, queue: url, control: `${url}/_localqueue`,
                framed: (frame) => { try { return frame.contentDocument.body.textContent; } catch { return ""; } },
            })""",
            [f"http://127.0.0.1:{server.ready['port']}", JOB],
        )
        yield page
        page.close()


@pytest.mark.parametrize("name", VECTORS)
def test_a_foreign_page_creates_and_reads_nothing(foreign: Page, server: Server, name: str) -> None:
    """Rule security.origin, security.content-type, security.cors, security.headers."""
    late = f"new Promise((resolve) => setTimeout(() => resolve('no end'), {WAIT_MS}))"
    tried = f"async () => {{ try {{ return await Promise.race([{VECTORS[name]}, {late}]); }} catch {{ return ''; }} }}"
    read = foreign.evaluate(tried)
    assert read == ""
    assert [job["data"] for job in map(server.job, ids(server))] == [SECRET]


def test_a_name_that_is_rebound_to_this_machine_reads_and_runs_nothing(browser: Any, server: Server) -> None:
    """Rule security.host."""
    page = browser.new_page()
    for path in ("/_localqueue/", "/_localqueue/jobs", "/health"):
        page.goto(f"http://evil.example:{server.ready['port']}{path}")
        assert "host_not_allowed" in page.content() and SECRET not in page.content()
    read = page.evaluate(f"""async () => {{
        const headers = {{"Content-Type": "application/json"}};
        const answers = [fetch("/_localqueue/jobs"), fetch("/jobs", {{method: "POST", headers, body: '{JOB}'}})];
        return Promise.all((await Promise.all(answers)).map((answer) => answer.status));
    }}""")
    page.close()
    assert read == [403, 403]
    assert len(ids(server)) == 1


def ids(server: Server) -> list[str]:
    return [job["id"] for job in server.get("/jobs")["jobs"]]
