"""Hold the wording: phrases that a reader stumbles over do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import messages

ROOT = Path(__file__).parents[1]
PHRASES = {
    "running": r"\bunder way\b",
    "fix": r"\bmend(?:s|ed)?\b",
    "report": r"\b(?:tells?|told) of\b",
    "continue": r"\bgoes on\b",
    "isn't running, doesn't exist": r"\bis not there\b",
    "responded": r"\banswered\b",
    "isn't a": r"\bthat is no [a-z]+\b",
    "stub": r"\bstand-ins?\b",
    "a plural by counted()": r"[a-z]\(s\)",
    "American spelling": (
        r"(?i)colour|behaviour|favour|honour|\blicence|\bgrey\b|(?:organ|recogn|serial|initial|normal|summar|optim)is(?:e|ing|ation)"
    ),
    "setup, fallback": r"\b(?:set-up|fall-back)s?\b",
    "the terms of the field": r"\b(?:lane|flight|heard|verdict|glimpse|doors)s?\b",
}
TEXTS = [
    *ROOT.glob("localqueue/**/*.py"),
    *ROOT.glob("localqueue/dashboard/static/**/*.js"),
    *ROOT.glob("docs/*.md"),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
]


def found_in(text: str) -> list[str]:
    return [
        f"{number}: {match[0]!r} (better: {better}): {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        for better, phrase in PHRASES.items()
        if (match := re.search(phrase, line))
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_uses_a_phrase_that_was_replaced(path: Path) -> None:
    assert not found_in(path.read_text())


def test_no_test_is_named_or_described_by_such_a_phrase() -> None:
    paths = [path for path in sorted(ROOT.glob("tests/**/*.py")) if path != Path(__file__)]
    texts = {
        path: re.sub(r"\bdef test_\w+", lambda name: name[0].replace("_", " "), path.read_text()) for path in paths
    }
    assert [line for text in texts.values() for line in found_in(text)] == []


@pytest.mark.parametrize(
    "line",
    [
        "what is under way goes on",
        "0 warning(s)",
        "it is not there",
        "the service answered 500",
        "a lane",
        "a gray colour",
        "initialised",
        "its set-up",
    ],
)
def test_a_replaced_phrase_is_found(line: str) -> None:
    assert found_in(line)


def test_the_list_of_messages_is_current() -> None:
    assert messages.LIST.read_text() == messages.listing(), "run `make messages`, then review the changes"


def test_the_list_has_help_errors_and_templates() -> None:
    code = """
@group.command()
def go(name):
    '''Help of a command.'''
    '''Not shown.''' if name else re.compile("a b")
    raise Error(f"unknown queue {name!r}", hint="Try again.")
def other():
    '''Only developers read this.'''
"""
    assert messages.python_messages(code) == ["Help of a command.", "Not shown.", "unknown queue {…}", "Try again."]


def test_the_list_has_strings_inside_templates() -> None:
    code = 'x(`No ${a ? `${b} failed` : "of these"} jobs`, "Retry"); // not this one\n'
    assert messages.script_messages(code) == ["No {…} jobs", "{…} failed", "of these", "Retry"]
