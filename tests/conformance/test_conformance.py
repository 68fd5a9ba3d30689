"""`localqueue conformance`: every rule holds here, and a careless queue breaks the rules that it doesn't keep."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from localqueue.conformance import catalog
from localqueue.conformance.battery import run
from localqueue.conformance.rules import RULES
from tests.support import free_port, localqueue, on_thread, serving

NOISY = {"retry.fixed"}
"""A busy machine can break these: a delay seems to grow."""


def test_every_rule_holds_here(tmp_path: Path) -> None:
    """Rule conformance.all."""
    port = free_port()
    (tmp_path / "catalog-info.yaml").write_text(catalog.text(port))
    with serving(tmp_path, "--ephemeral") as server:
        words = ("--url", server.url, "--worker-port", str(port), "--json")
        found = localqueue("conformance", *words)
        rules = json.loads(found.stdout)["rules"]
        broken = {rule["rule"]: rule["seen"] for rule in rules if not rule["holds"]}
        assert broken.keys() <= NOISY, broken
        assert len(rules) == len(RULES) > 40
        assert {rule["source"] for rule in rules} == {"platform", "decision"}


class CarelessQueue(BaseHTTPRequestHandler):
    """A queue that encodes data again, retries three times at once, counts nothing, and accepts everything."""

    port = 0

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            job = json.loads(raw)
            queue = str(job["queue"])
        except (ValueError, KeyError):
            job, queue = {}, "once"
        body = b'{"id": 1, "status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        threading.Thread(target=self.deliver, args=(queue, job.get("data")), daemon=True).start()

    def deliver(self, queue: str, data: Any) -> None:
        url = f"http://127.0.0.1:{self.port}/internal/jobs/{queue}"
        body = json.dumps({"queue": queue, "jobId": 1, "attempt": 1, "data": data}).encode()
        for _ in range(4):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, body, timeout=0.3).read()
                return
            except urllib.error.HTTPError as error:
                error.close()  # Python 3.14 warns of one that is left open
            except Exception:
                continue

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def careless() -> Iterator[str]:
    CarelessQueue.port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", 0), CarelessQueue)
    server.daemon_threads = True
    with on_thread(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def test_a_careless_queue_breaks_the_rules_that_it_does_not_keep(careless: str) -> None:
    """Rule conformance.all: the battery can fail."""
    results = run(careless, "127.0.0.1", CarelessQueue.port, patience_s=3)
    broken = {result.rule.name for result in results if not result.holds}
    assert broken >= {
        "enqueue.created", "enqueue.response", "enqueue.unique", "enqueue.invalid-json", "enqueue.unknown-queue",
        "deliver.content-type", "deliver.keys", "deliver.bytes", "retry.attempts", "retry.number", "retry.none",
        "retry.delay", "retry.timeout-length", "retry.not-followed", "limit.never-over",
    }  # fmt: skip
    assert "complete.200" not in broken and "deliver.method" not in broken


def test_a_queue_that_is_not_running_or_lacks_the_queues_is_named(tmp_path: Path) -> None:
    """Rule conformance.all."""
    gone = localqueue("conformance", "--url", f"http://127.0.0.1:{free_port()}", "--worker-port", str(free_port()))
    assert gone.exit_code == 1 and "doesn't respond" in gone.stderr
    (tmp_path / "catalog-info.yaml").write_text(catalog.text(1).replace("name: conformance", "name: other"))
    with serving(tmp_path) as server:
        unknown = localqueue("conformance", "--url", server.url, "--worker-port", str(free_port()))
        assert unknown.exit_code == 1 and "localqueue conformance --print-catalog" in unknown.stderr
        taken = localqueue("conformance", "--url", server.url, "--worker-port", server.url.rsplit(":", 1)[1])
        assert taken.exit_code == 1 and "the worker can't listen on 127.0.0.1:" in taken.stderr


def test_the_catalog_of_the_rules_has_no_findings(tmp_path: Path) -> None:
    """Rule check.rules."""
    (tmp_path / "catalog-info.yaml").write_text(localqueue("conformance", "--print-catalog").stdout)
    assert localqueue("check", str(tmp_path)).output == "1 file, 5 queues, no warnings\n"
