"""The commands that enqueue and steer, against a real server on the virtual clock and a real worker."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localqueue.client import discovery
from tests.cli.terminal import localqueue_on_terminal
from tests.conftest import Shop
from tests.support import answering, localqueue, serving, write_catalog


@pytest.mark.parametrize("raw", ["null", "1.0", "1E400", '{ "a" : 1,\n "a":2}', '"\\ud800"', '"é"', "9" * 400])
def test_enqueue_sends_json_as_it_is_from_an_argument_a_file_or_standard_input(
    shop: Shop, raw: str, tmp_path: Path
) -> None:
    """Rule cli.enqueue."""
    file = tmp_path / "data.json"
    file.write_text(raw)
    for words, given in ([raw], ""), ([f"@{file}"], ""), (["-"], f"\n{raw}\n"):
        shop.shown("enqueue", "shop/work", *words, given=given)
    shop.shown("drain")
    assert {body.split(b'"data":')[1][:-1] for body in shop.worker.bodies} == {raw.encode()}
    assert len(shop.worker.bodies) == 3


def test_enqueue_without_data_sends_null_and_prints_the_id(shop: Shop) -> None:
    """Rule cli.enqueue."""
    id_ = shop.shown("enqueue", "other").strip()
    assert shop.server.job(id_)["data"] is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            "{a: 1}",
            "the argument isn't valid JSON: line 1, column 2: Expecting property name enclosed in double quotes",
        ),
        ("[1,\n  2,,]", "line 2, column 5: Expecting value"),
        ('1,"queue":"other"', "line 1, column 2: expected the end of the text"),
        ("NaN", "NaN is not JSON"),
        ("", "line 1, column 1: Expecting value"),
        ("[" * 100_000, "it is nested too deeply"),
        ("@/nowhere", "can't read /nowhere: No such file or directory"),
    ],
)
def test_invalid_json_is_refused_before_it_is_sent(shop: Shop, raw: str, message: str) -> None:
    """Rule cli.enqueue."""
    assert message in shop.failing("enqueue", "other", raw, code=2)
    assert shop.failing("enqueue", "other", "-", code=2, given=b"\xff").endswith("not UTF-8 at offset 0\n")
    assert shop.server.get("/jobs")["jobs"] == []


def test_the_namespace_is_given_or_exported_or_the_only_one_that_has_the_queue(shop: Shop) -> None:
    """Rule cli.names."""
    several = "several services have a queue 'work': depot/work, shop/work\nUse NAMESPACE/QUEUE, such as depot/work."
    assert several in shop.failing("enqueue", "work")
    assert several in shop.failing("pause", "work")
    for words, env in (["work", "--namespace", "depot"], {}), (["depot/work"], {}), (["third"], {}), (
        ["work"], {"SERVICE_NAMESPACE": "depot"}
    ):  # fmt: skip
        id_ = shop.shown("enqueue", *words, env=env).strip()
        assert shop.server.job(id_)["namespace"] == "depot"
    assert "unknown namespace 'deport'; declared: depot, shop" in shop.failing("enqueue", "deport/work")
    assert "unknown queue 'thrid'; declared: third, work" in shop.failing("jobs", "--queue", "depot/thrid")
    told = shop.failing("enqueue", "thrid", env={"SERVICE_NAMESPACE": "depot"})
    assert "unknown queue 'thrid'; declared: third" in told


def test_enqueue_waits_for_the_end_and_says_that_time_must_be_moved(shop: Shop) -> None:
    """Rule cli.enqueue-wait."""
    shop.script += [500] * 3
    command = [sys.executable, "-m", "localqueue", "enqueue", "shop/work", "7", "--wait", "--url", shop.server.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    id_ = process.stdout.readline().strip()
    assert "virtual time is paused. In another terminal: localqueue drain" in process.stderr.readline()
    shop.shown("drain")
    rest = process.communicate(timeout=30)
    assert (process.returncode, rest[0]) == (1, "")
    assert rest[1] == f"failed, attempt 3/3: 500. Details: localqueue job {id_[-8:]} --url {shop.server.url}\n"


def test_a_wait_for_a_job_that_completes_ends_with_0_and_shows_progress_on_a_terminal(shop: Shop) -> None:
    """Rule cli.enqueue-wait, cli.progress."""

    with localqueue_on_terminal("enqueue", "other", "--wait", "--url", shop.server.url) as found:
        found.wait_for("no attempts yet  due now")
        shop.shown("drain")
        assert found.wait_end() == 0
    short = found.lines[0][-8:]
    assert found.lines[-1].endswith(
        f"completed, attempt 1/4: 200. Details: localqueue job {short} --url {shop.server.url}"
    )


def test_drain_shows_progress_on_a_terminal_alone(shop: Shop) -> None:
    """Rule cli.progress."""
    hang = threading.Event()
    shop.worker.answer = lambda _: (hang.wait(30) and 200) or 200
    shop.server.enqueue()

    with localqueue_on_terminal("drain", "--url", shop.server.url) as found:
        found.wait_for("0 queued, 1 running, 0 retrying")
        hang.set()
        assert found.wait_end() == 0
    assert "\r" not in shop.shown("drain")


def test_jobs_are_retried_and_cancelled_one_by_one_and_errors_do_not_stop_the_rest(shop: Shop) -> None:
    """Rule cli.act."""
    shop.script += [500] * 3
    failed, queued = shop.server.enqueue(), shop.server.enqueue(queue="other")
    shop.shown("pause", "other")
    shop.shown("drain")
    found = shop("retry", failed, "nonsense", queued)
    assert found.exit_code == 1
    assert found.stdout == f"retried {failed[-8:]} in work\n"
    assert "there is no job nonsense" in found.stderr
    assert "is queued; only failed or cancelled jobs can be retried" in found.stderr
    assert shop.server.job(failed)["round"] == 2
    assert (
        shop.shown("cancel", queued, failed) == f"cancelled {queued[-8:]} in other\ncancelled {failed[-8:]} in work\n"
    )
    assert shop.server.job(failed)["state"] == "cancelled"


def test_all_failed_jobs_are_retried_or_those_of_a_queue(shop: Shop) -> None:
    """Rule cli.act."""
    shop.worker.answer = lambda _: 500
    jobs = [shop.server.enqueue() for _ in range(3)]
    other = shop.server.enqueue(queue="other")
    shop.shown("drain")
    assert shop.shown("retry", "--failed", "--queue", "other") == "retried 1 failed job\n"
    assert [shop.server.job(id_)["state"] for id_ in (*jobs, other)] == [*["failed"] * 3, "queued"]
    assert shop.shown("retry", "--failed") == "retried 3 failed jobs\n"
    shop.worker.answer = lambda _: 200
    shop.shown("drain")
    assert {shop.server.job(id_)["state"] for id_ in (*jobs, other)} == {"completed"}


@pytest.mark.parametrize("raw", ["1.0", '{ "a" : 1E400 }', "-"])
def test_a_replay_carries_the_same_data_or_other_byte_for_byte_and_names_the_original(shop: Shop, raw: str) -> None:
    """Rule cli.act, cli.enqueue."""
    id_ = shop.shown("enqueue", "other", '{"big":12345678901234567890}').strip()
    same = shop.shown("replay", id_[-8:]).strip()
    other = shop.shown("replay", id_, "--data", raw, given="[ 7.0 ]\n").strip()
    shop.shown("drain")
    sent = [body.split(b'"data":')[1][:-1].decode() for body in shop.worker.bodies]
    assert sorted(sent) == sorted(['{"big":12345678901234567890}'] * 2 + ["[ 7.0 ]" if raw == "-" else raw])
    for copy in (same, other):
        assert shop.server.job(copy)["replayOf"] == id_
        assert f"replay of  {id_}" in shop.shown("job", copy)
    assert "line 1, column 2" in shop.failing("replay", id_, "--data", "{x}", code=2)


def test_short_ids_are_enough_everywhere(shop: Shop) -> None:
    """Rule cli.ids."""
    short = shop.server.enqueue()[-8:]
    assert f"work  {short}  queued" in shop.shown("job", short)
    assert shop.shown("cancel", short.upper()) == f"cancelled {short} in work\n"
    assert shop.shown("retry", short) == f"retried {short} in work\n"
    assert "there is no job 00000000" in shop.failing("job", "00000000")


def test_an_ambiguous_short_id_is_refused_with_the_candidates(tmp_path: Path) -> None:
    """Rule cli.ids."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--clock", "virtual") as server:
        ids = [server.enqueue()[:27] + f"{number}12345678" for number in range(2)]
    database = sqlite3.connect(tmp_path / ".localqueue/queue.db")
    with database:
        database.executemany("UPDATE jobs SET id = ? WHERE seq = ?", [(id_, seq + 1) for seq, id_ in enumerate(ids)])
    database.close()
    with serving(tmp_path, "--clock", "virtual") as server:
        found = localqueue("job", "12345678", "--url", server.url)
    assert found.exit_code == 1
    assert all(id_ in found.stderr for id_ in ids)
    assert found.stderr.endswith("\nUse the full ID of one of them.\n")


@pytest.mark.parametrize(
    "words", [["retry"], ["cancel"], ["retry", "x", "--failed"], ["retry", "x", "--queue", "work"], ["pause"], ["job"]]
)
def test_contradictory_options_are_a_usage_error(shop: Shop, words: list[str]) -> None:
    """Rule cli.exit-codes."""
    assert "Usage: " in shop.failing(*words, code=2)


def test_a_mistyped_command_suggests_the_nearest() -> None:
    """Rule cli.names, cli.exit-codes."""
    found = localqueue("jbs")
    assert found.exit_code == 2 and "no such command: 'jbs'; did you mean jobs or job?" in found.stderr
    assert "no such command: 'list'; did you mean jobs?" in localqueue("list").stderr  # not reset, which deletes jobs


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["job"], "'ID'.\nTo list jobs: localqueue jobs\n"),
        (["replay"], "'ID'.\nTo list jobs: localqueue jobs\n"),
        (["enqueue"], "'QUEUE'.\nTo list queues: localqueue queues\n"),
        (["trigger"], "'SCHEDULE'.\nTo list schedules: localqueue schedules\n"),
        (["exec"], "'-- COMMAND...'.\nFor example: localqueue exec -- npm test\n"),
        (["fault", "add", "work"], "'OUTCOME,...'.\n"),
    ],
)
def test_a_missing_argument_says_how_to_find_it(words: list[str], hint: str) -> None:
    """Rule cli.hints, cli.exit-codes."""
    found = localqueue(*words)
    assert found.exit_code == 2 and found.stderr.endswith(f"\nError: Missing argument {hint}")


@pytest.mark.parametrize(("word", "quoted"), [("../catalog-info.yaml", "../catalog-info.yaml"), ("my app", "'my app'")])
def test_a_path_without_an_option_says_how_to_name_a_catalog(word: str, quoted: str) -> None:
    """Rule cli.hints."""
    found = localqueue("up", word)
    assert found.exit_code == 2
    assert found.stderr.endswith(f"argument ({word})\nTo name a catalog: localqueue up --catalog {quoted}\n")


def test_commands_that_only_talk_import_no_server() -> None:
    modules = "enqueue, inspect, job, manage, tail"
    code = f"import sys; from localqueue.cli.commands import {modules}; print('uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_without_a_server_one_line_says_how_to_start_one() -> None:
    """Rule cli.no-server."""
    for words in ("status", "jobs", "enqueue work", "retry x", "open", "tail", "job x --json", "drain"):
        found = localqueue(*words.split(), "--url", "http://localhost:9")
        assert found.exit_code == 1
        assert found.stderr == "Error: no server is running at http://localhost:9\nStart one: localqueue up\n"


@pytest.fixture
def elsewhere(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Go to a folder without a server, while that of another folder has the default port."""
    monkeypatch.setattr(discovery, "DEFAULT_PORT", shop.server.ready["port"])
    monkeypatch.chdir(tmp_path)
    return shop


@pytest.mark.parametrize("words", ["jobs", "status", "jobs --json", "reset", "retry --failed", "delete --finished"])
def test_in_a_folder_without_a_server_a_command_names_the_database_that_it_uses(elsewhere: Shop, words: str) -> None:
    """Rule cli.no-server."""
    database = elsewhere.server.get("/status")["storage"]["path"]
    found = localqueue(*words.split())
    assert found.stderr == (
        f"note: this folder has no server; using the one at {elsewhere.server.url}, whose database is {database}\n"
    )
    assert found.exit_code == 0 and "note:" not in found.stdout


def test_a_server_that_is_named_or_of_this_folder_needs_no_note(elsewhere: Shop, tmp_path: Path) -> None:
    """Rule cli.no-server."""
    url = elsewhere.server.url
    assert localqueue("jobs", env={"IEC_QUEUE_URL": url}).stderr == localqueue("jobs", "--url", url).stderr == ""
    assert "note:" not in localqueue("advance").stderr  # a usage error: no server is asked
    (tmp_path / ".localqueue").mkdir()
    entry = {"url": url, "pid": elsewhere.server.process.pid, "db": "queue.db", "version": "0.1.0"}
    (tmp_path / ".localqueue" / "server.json").write_text(json.dumps(entry))
    assert localqueue("jobs").stderr == ""


def test_the_output_may_be_closed_early(shop: Shop) -> None:
    """Rule cli.interrupt."""
    for _ in range(20):
        shop.server.enqueue()
    line = f"{sys.executable} -m localqueue jobs --url {shop.server.url} | head -1"
    found = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert found.stdout.startswith("job  ") and found.stderr == ""


@pytest.mark.parametrize(
    ("words", "shown"),
    [("enqueue other --wait", "no attempts yet"), ("drain --settle 60s --timeout 60s", "0 queued, 0 running")],
)
def test_interrupting_a_wait_ends_it_without_a_word(shop: Shop, words: str, shown: str) -> None:
    """Rule cli.interrupt."""
    with localqueue_on_terminal(*words.split(), "--url", shop.server.url) as found:
        found.wait_for(shown)
        found.type("\x03")
        assert found.wait_end() == 130
    assert "Traceback" not in found.screen and "Aborted" not in found.screen


def test_the_dashboard_is_opened_or_its_url_printed(shop: Shop, tmp_path: Path) -> None:
    """Rule cli.open."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    url = f"{shop.server.url}/_localqueue/\n"
    assert shop.shown("open", "--print") == url
    command = [sys.executable, "-m", "localqueue", "open", "--url", shop.server.url]
    for name, expected in (str(browser), ""), ("/bin/false", url):
        found = subprocess.run(command, capture_output=True, text=True, env={"BROWSER": name, "PATH": "/nowhere"})
        assert (found.returncode, found.stdout, found.stderr) == (0, expected, "")
    assert (tmp_path / "opened").read_text() == url


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    """Rule cli.completion."""
    found = localqueue(env={"_LOCALQUEUE_COMPLETE": f"{shell}_source"})
    assert found.exit_code == 0 and "_LOCALQUEUE_COMPLETE" in found.stdout


def complete(line: str, **env: str) -> list[str]:
    env = {"_LOCALQUEUE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), **env}
    found = localqueue(env=env)
    assert (found.exception, found.exit_code, found.stderr) == (None, 0, "")
    return [item.split(",")[1] for item in found.stdout.split()]


def test_queues_states_and_jobs_of_the_running_server_are_completed(shop: Shop) -> None:
    """Rule cli.completion."""
    id_ = shop.server.enqueue()
    env = {"IEC_QUEUE_URL": shop.server.url}
    assert complete("localqueue pause o", **env) == ["other"]
    assert complete("localqueue jobs --state re", **env) == ["retrying"]
    assert complete(f"localqueue job {id_[-8:-4]}", **env) == [id_[-8:]]
    assert complete("localqueue pause o", IEC_QUEUE_URL="http://localhost:9") == []


def test_a_command_to_copy_runs_nothing_else_whatever_a_server_calls_its_queues() -> None:
    """Rule cli.hostile-server."""
    queue = json.dumps(
        {"queues": [{"name": "x; rm -rf ~", "namespace": "n", "held": None}], "now": "2026-01-01T00:00:00.000Z"}
    )
    jobs, status = '{"jobs": [], "next": null}', '{"name": "localqueue"}'
    paths = {"/_localqueue/status": status, "/_localqueue/jobs?limit=20": jobs, "*": queue}
    with answering(paths) as url:
        told = localqueue("jobs", "--url", url).stdout
    assert told == f"No jobs yet. To enqueue one: localqueue enqueue 'x; rm -rf ~' '{{\"claimId\": 7}}' --url {url}\n"


def test_a_hostile_server_causes_an_error_without_a_traceback(shop: Shop) -> None:
    """Rule cli.hostile-server."""
    status = {"name": "localqueue"}
    for other in (
        "{}",
        "[]",
        "null",
        '{"jobs":[{}],"next":null}',
        '{"queues":5}',
        "\x1b[2J",
        "[" * 100_000,
        '{"now":1}',
    ):
        with answering({"/_localqueue/status": json.dumps(status), "*": other}) as url:
            for words in (["status"], ["queues"], ["jobs"], ["job", "x"], ["clock"], ["retry", "x"], ["pause", "x"]):
                found = localqueue(*words, "--url", url)
                assert found.exit_code == 1 or words == ["clock"], (words, other, found.output)
                assert found.exception is None or isinstance(found.exception, SystemExit)
                assert "\x1b" not in found.output
