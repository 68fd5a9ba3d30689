"""The page docs/how-to-github-actions.md: the workflow is YAML of the right shape, and its steps are tested."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import block, run, write_node_files
from tests.docs.test_how_to_node import script_command

PAGE = "docs/how-to-github-actions.md"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    workflow = yaml.safe_load(block(PAGE, "yaml"))
    assert workflow[True] == ["push", "pull_request"]  # YAML 1.1 reads the key `on` as a boolean
    found: dict[str, Any] = workflow["jobs"]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_every_step_is_one_that_github_knows(jobs: dict[str, Any]) -> None:
    for job in jobs.values():
        assert set(job) == {"runs-on", "timeout-minutes", "steps"}
        for step in job["steps"]:
            assert set(step) <= {"uses", "with", "run", "env"}
            assert ("uses" in step) != ("run" in step)
            assert "uses" not in step or step["uses"].startswith("actions/")


def test_every_command_is_a_line_of_shell(jobs: dict[str, Any]) -> None:
    programs = set()
    for job in jobs.values():
        for command in commands(job):
            subprocess.run(["bash", "-n", "-c", command], check=True)
            programs.add(shlex.split(command)[0])
    assert programs == {"pip", "npm", "localqueue", "python"}


def test_the_steps_behind_the_installation_are_those_of_the_page_for_node(jobs: dict[str, Any], tmp_path: Path) -> None:
    write_node_files("docs/how-to-node.md", tmp_path)
    check, *tests = [command for command in commands(jobs["node"]) if command.startswith(("localqueue", "npm test"))]
    assert run(tmp_path, "bash", "-e", "-c", check).stdout == ""  # no problem, no annotation
    assert tests == ["npm test", script_command()]  # the tests of that page run them
