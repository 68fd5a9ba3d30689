"""The page docs/how-to-node.md: its code runs as it stands there, with real npm packages and a real `npm test`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, block, run, write_node_files
from tests.support import free_port

PAGE = "docs/how-to-node.md"
LEDGER = """\
+0.000s  process-claim#1  1/4  http_error 503  next +5.000s
+5.000s  process-claim#1  2/4  completed 200
+5.000s  send-letter#1    1/2  completed 204
"""


def script_command() -> str:
    line = re.search(r"^    (localqueue exec .*claims\.sh)$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert line is not None
    return line[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("how-to-node")
    assert len(write_node_files(PAGE, folder)) == 7
    return folder


def test_the_helper_has_ten_lines(folder: Path) -> None:
    assert len((folder / "queue.js").read_text().splitlines()) <= 12


def test_the_tests_with_node_s_own_runner_pass(folder: Path) -> None:
    """Rule exec.output."""
    found = run(folder, "npm", "test")
    assert "# pass 4" in found.stdout and "# fail 0" in found.stdout
    assert "failed: process-claim#1 " in found.stderr


def test_the_tests_with_vitest_pass(folder: Path) -> None:
    limits = ("--testTimeout=60000", "--hookTimeout=60000")
    found = run(folder, "npm", "run", "test:vitest", "--", *limits)
    assert re.search(r"Tests .*1 passed", found.stdout), found.stdout
    assert LEDGER in found.stderr


def test_the_shell_script_passes_and_its_service_is_waited_for_and_ended(folder: Path) -> None:
    """Rule exec.wait, exec.ends."""
    found = run(folder, "sh", "-c", script_command(), PORT=str(free_port()))
    assert '"state":"retrying"' in found.stdout
    assert found.stderr.endswith(block(PAGE, "text")), found.stderr


def test_the_helper_throws_if_a_handler_hangs(folder: Path) -> None:
    script = """
        import http from "node:http";
        import * as queue from "./queue.js";
        const server = http.createServer(() => {});
        await new Promise((ready) => server.listen(0, ready));
        await queue.deliverTo(`http://localhost:${server.address().port}`);
        const job = JSON.stringify({ namespace: "claims", queue: "send-letter" });
        const headers = { "Content-Type": "application/json" };
        await fetch(`${process.env.IEC_QUEUE_URL}/jobs`, { method: "POST", headers, body: job });
        const drain = () => queue.post("/drain", { timeoutMs: 200 }).catch((error) => error.message);
        let message = await drain();
        while (/"state":"queued"/.test(message)) message = await drain(); // on a stalled machine, it starts later
        console.log(message);
        process.exit();
    """
    (folder / "hangs.js").write_text(script)
    found = run(
        folder, "localqueue", "exec", "--clock=virtual", "--allow-failed", "--no-wait", "--", "node", "hangs.js"
    )
    assert found.stdout.startswith("1 unfinished jobs: ") and '"state":"running"' in found.stdout
