"""`localqueue check`: catalogs, findings, formats and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from localqueue.cli import main
from tests.catalog.test_loader import HEAD, queue

DEPENDENCY = "  internalDependencies: [{service: iec-queue}]\n"


@pytest.mark.parametrize("path", ["nothing.yaml", "."])
def test_check_says_which_file_it_can_not_read(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["check", path])
    assert found.exit_code == 1
    assert "can't be read: no such file" in found.output


def test_the_catalog_that_is_offered_where_there_is_none_has_no_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    offered = CliRunner().invoke(main, ["up"]).output.partition("create one:\n\n")[2]
    (tmp_path / "catalog-info.yaml").write_text(offered)
    assert CliRunner().invoke(main, ["check"]).output == "1 file, 1 queue, no warnings\n"


def test_check_has_three_formats_and_an_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.check."""
    monkeypatch.chdir(tmp_path)
    assert "no catalog found" in CliRunner().invoke(main, ["check"]).output
    (tmp_path / "catalog-info.yaml").write_text(queue("name: a, endpoint: x") + DEPENDENCY)
    text = CliRunner().invoke(main, ["check"])
    assert text.exit_code == 1 and text.output.startswith(
        "catalog-info.yaml:5:27: wrong_endpoint endpoint must be a path on the service, such as /internal/jobs/x, not"
    )
    github = CliRunner().invoke(main, ["check", "--format", "github"])
    assert github.output.startswith("::error file=catalog-info.yaml,line=5,col=27::wrong_endpoint")
    (tmp_path / "catalog-info.yaml").write_text(queue("name: a, endpoint: /x"))
    good = CliRunner().invoke(main, ["check", "--format", "json"])
    assert good.exit_code == 0 and '"concurrency": 5' in good.output


def test_check_that_checked_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.check."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog-info.yaml").write_text("kind: Location\nspec: {targets: [./a]}\n")
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 1
    assert result.stdout == "1 file, no queues, no warnings\n"
    assert result.stderr == "Error: nothing to check: no queues and no schedules are declared under spec\n"


def test_check_takes_folders_and_globs_and_counts_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.check."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a", "b")):
        text = HEAD.replace("{name: shop}", f"{{name: {name}, annotations: {{insureco.io/port: '300{number}'}}}}")
        (tmp_path / "apps" / name).mkdir(parents=True)
        (tmp_path / "apps" / name / "catalog-info.yaml").write_text(
            text + "    - {name: work, endpoint: /work}\n" + DEPENDENCY
        )
    for argument in ("apps", "apps/*", "apps/*/catalog-info.yaml", "apps/**/*.yaml"):
        result = CliRunner().invoke(main, ["check", argument])
        assert (result.exit_code, result.stdout) == (0, "2 files, 2 queues, no warnings\n"), argument
