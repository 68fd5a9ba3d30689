"""README.md: each of its commands is run by a test, on the README's own catalog."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ENV, ROOT, block, run
from tests.forking import ForkedPopen
from tests.support import Server, http, localqueue, serving, working

TEXT = (ROOT / "README.md").read_text()
PROGRAMS = "localqueue|make|npm|npx|pip|pipx|uvx"
CURL = """curl -H 'Content-Type: application/json' -d '{"namespace": "my-service", "queue": "process-claim", "data": {"claimId": 7}}' http://localhost:4327/jobs"""  # noqa: E501
LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")
ROADS = "tests/packaging/test_roads.py"
RUN_BY = {
    "pip install iec-localqueue": (ROADS, "test_pip_installs_the_command_and_the_fixture"),
    "pipx install iec-localqueue": (ROADS, "test_pipx_installs_the_command_where_pip_refuses"),
    "uvx --from iec-localqueue localqueue up": (ROADS, "test_uvx_runs_the_queue_without_installing_it"),
    "npm install --save-dev localqueue": (ROADS, "test_npm_installs_the_command_and_npx_runs_it"),
    "npx localqueue up": (ROADS, "test_npm_installs_the_command_and_npx_runs_it"),
    "make dist binary npm": (ROADS, "test_the_files_are_those_that_make_writes"),
    "make demo": ("tests/docs/test_sample_service.py", "test_the_demo_with_the_python_service_ends_well"),
    "make test": (".ci/run", "make test"),
    "make site": (".ci/run", "make site"),
    "localqueue up": ("", "test_a_job_is_delivered_and_shown"),
    CURL: ("", "test_a_job_is_delivered_and_shown"),
    "localqueue jobs": ("", "test_a_job_is_delivered_and_shown"),
    "localqueue job ID": ("", "test_a_job_is_delivered_and_shown"),
    "localqueue jobs --by-error": ("", "test_failed_jobs_are_grouped_and_retried"),
    "localqueue retry ID": ("", "test_failed_jobs_are_grouped_and_retried"),
    "localqueue status": ("", "test_failed_jobs_are_grouped_and_retried"),
    "localqueue doctor": ("", "test_failed_jobs_are_grouped_and_retried"),
    "localqueue tail": ("", "test_tail_follows_live"),
    "localqueue exec --clock virtual -- npm test": ("", "test_exec_runs_the_tests_of_any_language"),
}
"""Each command of the README: the file, or this one, and the test or line that runs it."""


MAIN = "tests/server/test_main_job.py"
PROMISES = {
    "`data` reaches your handler byte for byte": (
        MAIN,
        "test_a_job_is_delivered_with_the_four_keys_in_order_and_its_data_byte_for_byte",
    ),
    "a failed attempt runs again exactly `retryDelayMs` after it ended": (
        MAIN,
        "test_a_failed_attempt_is_retried_exactly_the_delay_after_its_end",
    ),
    "every attempt is kept, with the response and the reason for what came next": (
        "tests/cli/test_inspect.py",
        "test_a_job_shows_every_attempt_with_its_response_and_when_the_next_one_is_due_and_why",
    ),
    "refused requests are listed with their reasons": ("tests/cli/test_first_mistakes.py", "test_a_mistyped_queue"),
    "in virtual time a day of retries": (
        "tests/engine/test_timeline.py",
        "test_a_day_passes_over_two_hundred_failing_jobs",
    ),
    "milliseconds": ("docs/performance.md#figures", r"\| 9\.5 \| \d+ ms"),
    "in the same order every time": (
        "tests/engine/test_timeline.py",
        "test_the_same_seed_gives_the_same_ledger_and_the_same_ids_a_hundred_times",
    ),
    "scripted outcomes": (
        "tests/engine/test_fault_injector.py",
        "test_outcomes_are_used_in_starting_order_and_then_the_service_responds",
    ),
    "lost responses": ("tests/testing/test_idempotency.py", "test_the_sample_service_needs_its_idempotency_check"),
    "crashes": ("tests/engine/test_crash_rehearsal.py", "test_the_restart_names_what_is_delivered_again"),
    "schedules": ("tests/engine/test_schedules.py", "test_a_fan_out_of_300_jobs_is_one_advance"),
    "a sentence for what each failure means": (
        "tests/core/test_explanations.py",
        "test_each_condition_of_the_table_is_found",
    ),
    "a job is on disk before you get its ID, and survives `kill -9` at any moment": (
        "tests/store/test_crash.py",
        "test_twenty_kills_under_load_lose_nothing",
    ),
    "2,000 kills under load": ("docs/reliability.md", r"\| kills \| .* \| 2,000 kills"),
    "loopback only": ("tests/server/test_up.py", "test_it_listens_on_no_other_address"),
    "refuses requests that a page in your browser could make": (
        "tests/dashboard/test_foreign_page.py",
        "test_a_foreign_page_creates_and_reads_nothing",
    ),
}
"""Each promise of the README: the file that it links to, and the test or line there that holds it."""


def commands() -> set[str]:
    """Return the commands of the README: the lines of its shell blocks, and the code in its text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    lines = [line for text in blocks for line in text.splitlines()]
    lines += re.findall(rf"`((?:{PROGRAMS}) [^`]+)`", prose)
    return {re.split(r" {2,}#", line)[0].strip() for line in lines}


def test_every_command_is_run_by_a_test() -> None:
    assert commands() == set(RUN_BY)
    for line, (name, wanted) in RUN_BY.items():
        text = (ROOT / (name or "tests/docs/test_readme.py")).read_text()
        assert re.search(rf"^(?:def )?{wanted}\b", text, re.MULTILINE), line
    assert not re.search(r"^ {4}", re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)


def test_every_promise_links_to_what_holds_it() -> None:
    promises, _, _ = TEXT.partition("Each of these promises")
    first_ones = LINK.findall(promises.partition("- **")[2])
    to_tests = [link for link in LINK.findall(TEXT) if link[1].startswith("tests/")]
    found = {" ".join(promise.split()): target for promise, target in [*first_ones, *to_tests]}
    assert found == {promise: target for promise, (target, _) in PROMISES.items()}
    for promise, (target, wanted) in PROMISES.items():
        text = (ROOT / target.partition("#")[0]).read_text()
        assert re.search(rf"^(?:def )?{wanted}\b", text, re.MULTILINE), promise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my-service")
    (folder / "catalog-info.yaml").write_text(block("README.md", "yaml"))
    return folder


broken: set[int] = {8}


def answer(job: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    is_broken = job["data"]["claimId"] in broken
    return (500 if is_broken else 200), b'{"error": "claim 8 has no amount"}', {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with working(answer) as worker, serving(folder, "--target", worker.url) as server:
        http.patch(f"{server.url}/_localqueue/queues/my-service/process-claim", json={"retries": 0}).raise_for_status()
        yield server


def typed(line: str, server: Server, id_: str = "") -> str:
    """Return what a command of the README prints."""
    assert line in RUN_BY
    found = localqueue(*shlex.split(line.replace("ID", id_))[1:], "--url", server.url)
    assert found.exit_code == 0, found.output
    return found.output


def test_a_job_is_delivered_and_shown(folder: Path, server: Server) -> None:
    curl = [*shlex.split(CURL.replace("http://localhost:4327", server.url)), "--silent", "--noproxy", "*"]
    id_ = json.loads(run(folder, *curl).stdout)["id"]
    assert server.wait_state(id_, "completed")["namespace"] == "my-service"
    assert id_[-8:] in typed("localqueue jobs", server)
    assert "attempt 1/1  200 OK" in typed("localqueue job ID", server, id_)


def test_failed_jobs_are_grouped_and_retried(server: Server) -> None:
    response = http.post(
        f"{server.url}/jobs", json={"namespace": "my-service", "queue": "process-claim", "data": {"claimId": 8}}
    )
    id_ = response.json()["id"]
    server.wait_state(id_, "failed")
    assert "localqueue retry --failed" in typed("localqueue jobs --by-error", server)
    assert re.search(r"process-claim +0 .* 1 ", typed("localqueue status", server))
    broken.clear()
    typed("localqueue retry ID", server, id_)
    server.wait_state(id_, "completed")
    assert f"running at {server.url}" in localqueue("doctor", "--url", server.url).output


def test_tail_follows_live(folder: Path, server: Server) -> None:
    with ForkedPopen(
        ["tail", "--url", server.url], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as tail:
        assert tail.stdout is not None
        assert server.url in tail.stdout.readline()
        http.post(
            f"{server.url}/jobs", json={"namespace": "my-service", "queue": "process-claim", "data": {"claimId": 9}}
        )
        assert "attempt 1/1" in tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        assert tail.wait(30) == 0


def test_exec_runs_the_tests_of_any_language(folder: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: `npm test` was not run")
    script = "localqueue fault add process-claim 503,200 && localqueue enqueue process-claim 7 && localqueue drain"
    (folder / "package.json").write_text(json.dumps({"scripts": {"test": script}}))
    command = "localqueue exec --clock virtual -- npm test"
    assert command in RUN_BY
    found = subprocess.run(shlex.split(command), cwd=folder, env=ENV, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "localqueue: 1 job: 1 completed" in found.stderr and "http_error 503" in found.stderr
