"""Hints are commands that work as printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from localqueue.cli.main import COMMANDS, main
from tests import messages
from tests.conftest import Shop
from tests.support import localqueue, write_catalog

NAMES = "|".join(COMMANDS)
WORD = r"-- [a-z]+|--[a-z-]+|[A-Z]{2,}|\d+|wall|virtual|pytest|\{[a-z…]+\}"
COMMAND = re.compile(rf"localqueue (?:{NAMES})\b(?: (?:{WORD}))*")
OPTIONS_AS_A_WHOLE = "localqueue up {…}"
"""The options of this one depend on the catalog; the next two tests run it."""


def commands_in(text: str) -> set[str]:
    return set(COMMAND.findall(text))


def parse(line: str) -> None:
    """Parse a command line without running it. Raises click.UsageError."""
    words = [{"PORT": "1", "BYTES": "2048"}.get(word, word) for word in shlex.split(line)]
    assert words.pop(0) == "localqueue"
    with click.Context(main, info_name="localqueue") as context:
        name, command, rest = main.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


PRINTED = sorted(commands_in(messages.LIST.read_text()) - {OPTIONS_AS_A_WHOLE})


def test_hints_are_found() -> None:
    assert {"localqueue up --port 0", "localqueue retry {id}", "localqueue advance --to-next"} <= set(PRINTED)


@pytest.mark.parametrize("line", PRINTED)
def test_a_command_in_a_message_is_accepted(line: str) -> None:
    """Rule cli.hints."""
    parse(line)


@pytest.mark.parametrize("line", ["localqueue up --prot 0", "localqueue retry --all", "localqueue advance --next"])
def test_a_command_with_a_mistake_is_refused(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


def hinted(text: str) -> list[str]:
    """Return the words of the last command in a text, without `localqueue`."""
    return shlex.split(text[text.rindex("localqueue ") :].splitlines()[0].removeprefix("localqueue "))


def test_the_hints_of_a_job_in_the_wrong_state_work(shop: Shop) -> None:
    """Rule cli.hints."""
    shop.script += [500, 500, 500]
    id_ = shop.server.enqueue()
    shop.shown("advance", "0s")
    assert hinted(shop.failing("retry", id_)) == ["advance", "--to-next"]
    assert shop(*hinted(shop.failing("retry", id_))).exit_code == 0
    shop.shown("drain")
    assert hinted(shop.failing("cancel", id_)) == ["retry", id_[-8:]]
    assert shop(*hinted(shop.failing("cancel", id_))).exit_code == 0
    shop.shown("drain")
    assert hinted(shop.failing("retry", id_)) == ["replay", id_[-8:]]
    assert shop(*hinted(shop.failing("retry", id_))).exit_code == 0


def test_the_hints_on_the_page_of_a_job_work(shop: Shop) -> None:
    """Rule cli.hints."""
    shop.script += [500, 500, 500]
    id_ = shop.server.enqueue()
    for state in ("queued", "retrying", "retrying", "failed"):
        assert shop.server.job(id_)["state"] == state
        command = hinted(shop.shown("job", id_))
        assert localqueue(*command).exit_code == 0, command
    assert shop.server.job(id_)["state"] == "queued"


def test_the_hint_for_a_paused_queue_works(shop: Shop) -> None:
    """Rule cli.hints."""
    shop.shown("pause", "shop/work")
    id_ = shop.server.enqueue()
    held = next(line for line in shop.shown("job", id_).splitlines() if "resume" in line)
    assert localqueue(*hinted(held)).exit_code == 0
    assert shop.server.job(id_)["held"] is None


def test_the_example_of_an_empty_list_works(shop: Shop) -> None:
    """Rule cli.hints."""
    assert localqueue(*hinted(shop.shown("jobs"))).exit_code == 0


def test_the_hint_for_a_queue_that_is_on_another_target_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule cli.hints: `doctor` suggests a --target with the namespace if there are several services."""
    write_catalog(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = localqueue("doctor", env={"IEC_QUEUE_URL": "http://localhost:9"}).stdout
    commands = {line.rsplit("localqueue ", 1)[1] for line in text.splitlines() if "--target" in line}
    assert commands
    for command in commands:
        parse("localqueue " + command.split(" or ")[0])
