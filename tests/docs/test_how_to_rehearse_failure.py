"""The page docs/how-to-rehearse-failure.md: its test passes, fails without the idempotency check, and its curl runs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from localqueue.core.crashpoint import POINTS
from localqueue.core.faults import WORDS
from tests.docs.pages import ENV, ROOT, block, write_files
from tests.support import serving
from tests.testing.runner import run_pytest

PAGE = "docs/how-to-rehearse-failure.md"
CHECK = 'if job["jobId"] not in seen:  # the idempotency check'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write_files(PAGE, tmp_path) == ["catalog.py", "service.py", "conftest.py", "test_payment.py"]
    return tmp_path


def test_the_test_of_the_page_passes_and_fails_without_the_check(folder: Path) -> None:
    """Rule faults.outcomes."""
    assert re.search(r"^2 passed", run_pytest(folder).stdout, re.MULTILINE)
    service = folder / "service.py"
    service.write_text(service.read_text().replace(CHECK, "if True:"))
    output = run_pytest(folder).stdout
    assert "assert [7, 7] == [7]" in output and "2 failed" in output
    assert "changed the result of `unchanged`: [7, 7, 8] before, [7, 7, 8, 8] after" in output


def test_the_tables_have_every_word_and_every_point() -> None:
    table = re.findall(r"^\| `([a-z0-9=-]+)`", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert table == [*WORDS, *POINTS]


def test_the_lines_for_curl_run(tmp_path: Path) -> None:
    queues = [{"name": "pay-claim", "endpoint": "/x"}]
    catalog = {"kind": "Component", "metadata": {"name": "claims"}, "spec": {"queues": queues}}
    (tmp_path / "catalog-info.yaml").write_text(json.dumps(catalog))
    with serving(tmp_path, "--clock", "virtual") as server:
        command = ["sh", "-ec", block(PAGE, "sh", 1)]
        env = ENV | {"IEC_QUEUE_URL": server.url}
        found = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    left = '{"faults":[{"namespace":"claims","queue":"pay-claim","outcomes":["503","slow=250","lost-ack"]}]}'
    assert (found.returncode, found.stdout) == (0, left + left + '{"faults":[]}'), found.stderr
