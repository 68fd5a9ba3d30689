"""Run the sample services, unchanged and with the mistakes of docs/mistakes.md made in their source."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.docs.pages import ROOT
from tests.support import JSON, Terminal, free_port, http, localqueue, until

SAMPLE = ROOT / "sample-service"
SOURCES = {"python": "python/app.py", "node": "node/app.js"}
RIGHT, WRONG = "claims-service", "wrong-service"
START = "2026-03-07T12:00:00-07:00"

Change = tuple[str, str]
MISTAKES: dict[str, dict[str, list[Change]]] = {
    "An error is returned as 200 with `success: false`.": {
        "python": [('"error": str(error)}, 500)', '"error": str(error)})')],
        "node": [
            ("response.status(500).json({ success: false, error: error", "response.json({ success: false, error: error")
        ],
    },
    "The handler doesn't check whether the job is done.": {
        "python": [
            ('if (claim_id, job["jobId"]) in done:', "if False:"),
            (
                "        process(claim_id, amount)\n",
                '        process(claim_id, amount)\n        await enqueue("sync-record", {"claimId": claim_id})\n',
            ),
        ],
        "node": [
            ("if (done.has(`${claimId} ${jobId}`)) {", "if (false) {"),
            ('process-claim", (request', 'process-claim", async (request'),
            (
                "    processClaim(claimId, amount);\n",
                '    processClaim(claimId, amount);\n    await enqueue("sync-record", { claimId });\n',
            ),
        ],
    },
    "The fan-out runs before the response.": {
        "python": [
            (
                '    return JSONResponse({"success": True}, background=BackgroundTask(sync_all))',
                "    await sync_all()\n"
                "    await asyncio.sleep(3600)  # so many records\n"
                '    return JSONResponse({"success": True})',
            )
        ],
        "node": [
            (
                'nightly-sync", (_request, response) => {\n  response.json({ success: true });\n  syncAll();\n',
                'nightly-sync", async (_request, response) => {\n'
                "  await syncAll();\n"
                "  await new Promise((end) => setTimeout(end, 3_600_000)); // so many records\n"
                "  response.json({ success: true });\n",
            )
        ],
    },
    "The status of `POST /jobs` isn't checked, and the queue is mistyped.": {
        "python": [
            (
                '        if answer.status_code == 201:\n            return answer.json()["id"]\n'
                "        reason = answer.text\n",
                '        return answer.json().get("id")\n',
            ),
            ('job_id = await enqueue("process-claim"', 'job_id = await enqueue("proces-claim"'),
        ],
        "node": [
            (
                "    if (answer.status === 201) return JSON.parse(text).id;\n    reason = text;\n",
                "    return JSON.parse(text).id;\n",
            ),
            ('jobId: await enqueue("process-claim"', 'jobId: await enqueue("proces-claim"'),
        ],
    },
    "The namespace is hard-coded.": {
        "python": [
            (
                '    try:\n        await enqueue("sync-record", {"claimId": claim_id})',
                '    job = {"namespace": "my-service", "queue": "sync-record", "data": {"claimId": claim_id}}\n'
                '    try:\n        await client.post(f"{QUEUE_URL}/jobs", json=job)',
            )
        ],
        "node": [
            (
                '  try {\n    await enqueue("sync-record", { claimId });\n  } catch (error) { // the others',
                '  const body = JSON.stringify({ namespace: "my-service", queue: "sync-record", data: { claimId } });\n'
                '  const headers = { "Content-Type": "application/json" };\n'
                '  try {\n    await fetch(`${QUEUE_URL}/jobs`, { method: "POST", headers, body });\n'
                "  } catch (error) { // the others",
            )
        ],
    },
}
"""For each mistake that is made in a handler: what a developer writes instead of what the sample has."""


def with_mistakes(language: str) -> str:
    """Return the source of a sample service in which every mistake is made."""
    source = (SAMPLE / SOURCES[language]).read_text()
    for changes in MISTAKES.values():
        for right, wrong in changes[language]:
            assert source.count(right) == 1, f"{language}: {right}"
            source = source.replace(right, wrong)
    return source


@dataclass
class Services:
    """A queue on the virtual clock, and a sample service in one language: the right one and the wrong one."""

    terminal: Terminal
    folder: Path
    urls: Mapping[str, str]

    def reset(self) -> None:
        """Delete the jobs and go back to the start of time; the services remember their claims."""
        self.control("/reset")

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the control API."""
        found = http.post(f"{self.terminal.url}/_localqueue{path}", json=body, headers=JSON)
        assert found.is_success, found.text
        return found.json()

    def submit(self, namespace: str, claim_id: str, amount: int | None = 5) -> str:
        """Submit a claim to a service, and return the ID of its job."""
        found = http.post(f"{self.urls[namespace]}/claims", json={"claimId": claim_id, "amount": amount})
        assert found.status_code == 202, found.text
        return str(found.json().get("jobId"))

    def enqueue(self, namespace: str, data: Mapping[str, Any]) -> str:
        """Enqueue a job of `process-claim`, and return its ID."""
        body = {"namespace": namespace, "queue": "process-claim", "data": data}
        return str(http.post(f"{self.terminal.url}/jobs", json=body).json()["id"])

    def claims(self, namespace: str) -> dict[str, dict[str, Any]]:
        """Return the claims of a service by ID."""
        found = http.get(f"{self.urls[namespace]}/claims").json()["claims"]
        return {claim["claimId"]: claim for claim in found}

    def get(self, path: str) -> Any:
        """Ask the control API."""
        return http.get(f"{self.terminal.url}/_localqueue{path}").json()

    def shown(self, *words: str) -> str:
        """Return what a command prints."""
        return localqueue(*words, "--url", self.terminal.url).stdout

    def output(self, namespace: str) -> str:
        """Return what a service has printed so far."""
        return (self.folder / f"{namespace}.log").read_text()


@contextlib.contextmanager
def serving(language: str, folder: Path) -> Iterator[Services]:
    """Run a queue with both services of a language."""
    urls = {name: f"http://localhost:{free_port()}" for name in (RIGHT, WRONG)}
    catalog = (SAMPLE / "catalog-info.yaml").read_text()
    write(folder / "right/catalog-info.yaml", catalog)
    zone = "      timezone: America/Denver\n"
    assert catalog.count(zone) == 1
    hurried = catalog.replace(f"name: {RIGHT}", f"name: {WRONG}").replace(zone, f"{zone}      timeoutMs: 100\n")
    write(folder / "wrong/catalog-info.yaml", hurried)
    targets = [f"--target={name}={url}" for name, url in urls.items()]
    terminal = Terminal(folder, "--clock", "virtual", "--ephemeral", "--schedules", f"--start={START}", *targets)
    with contextlib.ExitStack() as started:
        started.callback(terminal.stop)
        for name, source in ((RIGHT, (SAMPLE / SOURCES[language]).read_text()), (WRONG, with_mistakes(language))):
            process = start(
                language, folder, name, source, {"IEC_QUEUE_URL": terminal.url, "PORT": urls[name].rpartition(":")[2]}
            )
            started.callback(process.wait)
            started.callback(process.kill)
        for url in urls.values():
            until(lambda url=url: is_up(url), f"{url} responds")  # type: ignore[misc]
        yield Services(terminal, folder, urls)


def start(language: str, folder: Path, name: str, source: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a service in a folder of its own; what it prints goes to a file."""
    path = folder / name / ("app.py" if language == "python" else "app.mjs")
    write(path, source)
    if language == "node":
        (path.parent / "node_modules").symlink_to(SAMPLE / "node/node_modules")
    command = [sys.executable if language == "python" else "node", str(path)]
    with (folder / f"{name}.log").open("wb") as log:
        env = {**os.environ, **env, "SERVICE_NAMESPACE": name}
        return subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)


def is_up(url: str) -> bool:
    """Return whether a service responds."""
    with contextlib.suppress(httpx.TransportError):
        return http.get(f"{url}/health").is_success
    return False


def write(path: Path, text: str) -> None:
    """Write a file and make its folder."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
