"""The short form of the benchmarks, for correctness: seconds only, and no figure is judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import figures, http11, rows, runs, subjects
from benchmarks.__main__ import main
from benchmarks.cases import CASES
from benchmarks.processes import BenchmarkError

ROOT = Path(__file__).parents[1]


def test_a_burst_through_ten_queues_of_five_services_is_delivered_once_and_keeps_every_limit(
    tmp_path: Path,
) -> None:
    names = [f"work-{n}" for n in range(6)] + [f"service-{n}/work" for n in range(4)]
    passed = runs.drain(subjects.localqueue(), tmp_path, 1000, queues=names, delay_ms=1, warm_up=10)
    assert passed.accepted_per_s > 0 and passed.through_per_s > 0
    assert list(tmp_path.iterdir()) == []


def test_jobs_of_a_file_that_was_made_by_direct_sql_are_delivered_like_any_other(tmp_path: Path) -> None:
    made = rows.database_with(tmp_path, queued=300)
    with runs.session(subjects.localqueue(made=made), tmp_path, [rows.QUEUE], failures=1, retry_delay_ms=1) as run:
        run.load(100, first=300)
        run.check(800)
        assert {job for job, *_ in run.service.rows()} == set(range(400))


def test_a_file_of_finished_jobs_is_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK", 100)
    made = rows.database_with(tmp_path, finished=350)
    with runs.session(subjects.localqueue(made=made), tmp_path, [rows.QUEUE]) as run:
        counts = run.system.get("/queues")["queues"][0]["counts"]
        assert (counts["completed"], counts["failed"]) == (347, 3)
        for state, attempts in (("completed", ["completed"]), ("failed", ["http_error"] * 4)):
            newest = run.system.get(f"/jobs?limit=1&state={state}")["jobs"][0]
            assert run.system.get(f"/jobs/{newest['id']}")["attempts"][-1]["outcome"] == attempts[-1]
            assert len(run.system.get(f"/jobs/{newest['id']}")["attempts"]) == len(attempts)
        ids = [job["id"] for job in run.system.get("/jobs?limit=200")["jobs"]]
        assert ids == sorted(ids, key=lambda each: each[:13], reverse=True) and len({each[-8:] for each in ids}) == 200


def test_the_command_prints_a_line_per_goal_and_writes_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--quick", "--only", "8.1", "--scratch", str(tmp_path), "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())["goals"]
    assert (code, [each["goal"] for each in found]) == (0, ["8.1"])
    assert len(found[0]["figures"]) == len(found[0]["subject"]["values"]) == 1
    assert re.search(r"^8\.1 .* 10 ms handlers", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "found",
    [
        {"delivered": 9, "distinct": 9, "most": {"/work": 5}},
        {"delivered": 10, "distinct": 9, "most": {"/work": 5}},
        {"delivered": 10, "distinct": 10, "most": {"/work": 5, "/other": 6}},
    ],
    ids=["lost", "doubled", "over the limit"],
)
def test_a_run_that_is_not_in_order_has_no_figures(found: dict[str, object]) -> None:
    with pytest.raises(BenchmarkError):
        runs.check(found, 10, 5)
    runs.check({"delivered": 10, "distinct": 10, "most": {"/work": 5}}, 10, 5)


def test_messages_are_cut_wherever_the_bytes_were_split() -> None:
    chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    stream = http11.request("POST", "/jobs", b"{}") + http11.response(200, b"ok") + chunked + http11.response(204, b"")
    for size in (1, 7, len(stream)):
        messages = http11.Messages()
        found = [each for at in range(0, len(stream), size) for each in messages.feed(stream[at : at + size])]
        assert [head.split(b"\r\n")[0].split()[1] for head, _ in found] == [b"/jobs", b"200", b"201", b"204"]
        assert [body for _, body in found][:2] == [b"{}", b"ok"]


def test_a_goal_is_judged_by_the_median_of_the_ratios() -> None:
    ours = figures.series("ours", "jobs/s", [100, 300, 200])
    theirs = figures.series("theirs", "jobs/s", [100, 100, 100])
    line = figures.ratio("1.1", "drain", ours, theirs, at_least=2.0)
    assert (line.median, line.is_met) == (2.0, True)
    assert figures.ratio("1.1", "drain", ours, theirs, at_least=2.1).is_met is False
    assert figures.ratio("1.1", "drain", ours, theirs).is_met is None
    assert figures.absolute("5.2", "late", ours, at_most=199).is_met is False
    assert "2x (1-3)" in line.shown()


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert figures.percentile([*range(100, 0, -1)], percent) == expected


def test_every_goal_is_explained_in_the_documentation() -> None:
    text = (ROOT / "docs/performance.md").read_text().split("## Figures")[0]
    shown = re.findall(r"^\| (\d+\.\d+) \|", text, re.MULTILINE)
    assert sorted(shown) == sorted(goal for case in CASES for goal in case.goals)
