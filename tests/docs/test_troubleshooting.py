"""The page docs/troubleshooting.md: its messages are printed by the code, and its commands exist."""

from __future__ import annotations

import functools
import re
import shlex

import click
import pytest

from localqueue.cli import main
from tests.docs.pages import ROOT
from tests.messages import LIST

WRITTEN = (ROOT / "docs/troubleshooting.md").read_text().partition("<!-- From here on")[0]
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", WRITTEN, re.MULTILINE)
LETTERS = 9
"""A message of fewer letters, such as `{…}: {…}`, would match everything."""


@functools.cache
def patterns() -> list[re.Pattern[str]]:
    """Return the messages of the code, with anything for what is filled in."""
    lines = [line for line in LIST.read_text().splitlines() if len(re.findall("[a-z]", line)) >= LETTERS]
    return [re.compile(re.escape(line).replace(r"\{…\}", ".*")) for line in lines]


@pytest.mark.parametrize("message", [row[0] for row in ROWS])
def test_a_message_of_the_page_is_one_that_the_code_prints(message: str) -> None:
    assert any(pattern.fullmatch(message) for pattern in patterns())


def test_messages_that_the_code_does_not_print_are_found() -> None:
    for message in ("port 4327 is taken", "no server runs at http://localhost:4327", "a: b"):
        assert not any(pattern.fullmatch(message) for pattern in patterns())


def test_each_message_has_a_cause_and_commands_that_exist() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `", WRITTEN, re.MULTILINE)) > 30
    for message, cause, what_to_do in ROWS:
        assert len(cause) > 10 and "`" in what_to_do, message
        for line in re.findall(r"`(localqueue [^`]+)`", f"{cause} {what_to_do}"):
            check(line)


def check(line: str) -> None:
    """Check that a command and its options exist."""
    name, *words = shlex.split(line)[1:]
    if name == "--help":
        return
    command = main.get_command(click.Context(main), name)
    assert command is not None, line
    options = {option for parameter in command.params for option in parameter.opts}
    own = words[: words.index("--")] if "--" in words else words
    assert {word for word in own if word.startswith("--")} <= options, line
