"""`localqueue --help` is a list to look a command up in."""

from __future__ import annotations

from click.testing import CliRunner

from localqueue.cli.main import COMMANDS, GROUPS, main

HELP = CliRunner().invoke(main, ["--help"]).stdout


def test_help_lists_the_commands_in_groups_with_a_line_each() -> None:
    sections = [section.splitlines() for section in HELP.split("\n\n")]
    shown = {lines[0].rstrip(":"): [line.split()[0] for line in lines[1:]] for lines in sections}
    assert {title: shown[title] for title in GROUPS} == {title: list(names) for title, names in GROUPS.items()}
    assert sum(map(len, GROUPS.values())) == len(COMMANDS)


def test_the_line_of_a_command_is_a_whole_sentence() -> None:
    lines = HELP.split("\n\nRun:")[1].splitlines()
    assert [line for line in lines if line.startswith(" ") and (not line.endswith(".") or line.endswith("..."))] == []
