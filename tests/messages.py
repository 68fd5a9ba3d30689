"""List every message that a user can read, by file: `python -m tests.messages` writes tests/messages.txt."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests/messages.txt"
TITLE = "# Every message that a user can read. Written by `make messages`; review what changes.\n"
SQL = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|WITH|SAVEPOINT|VACUUM|ORDER BY|WHERE|AND|RETURNING)\b"
)
WITHOUT_MESSAGES = {"statements.py", "row_mapping.py", "job_listing.py"}
SHOWN_DOCSTRINGS = ("command", "group", "fixture")


def listing() -> str:
    """Return the whole list."""
    modules = [path for path in sorted(ROOT.glob("localqueue/**/*.py")) if path.name not in WITHOUT_MESSAGES]
    python = [(path, python_messages(path.read_text())) for path in modules]
    static = ROOT / "localqueue/dashboard/static"
    npm = ROOT / "npm/localqueue"
    pages = [*static.glob("**/*.js"), *static.glob("*.html"), *npm.glob("*.cjs"), *npm.glob("bin/*.cjs")]
    scripts = [(path, script_messages(path.read_text())) for path in sorted(pages)]
    parts = [
        f"\n## {path.relative_to(ROOT)}\n" + "".join(f"{line}\n" for line in dict.fromkeys(found))
        for path, found in python + scripts
        if found
    ]
    return TITLE + "".join(parts)


def python_messages(source: str) -> list[str]:
    """Return the messages in Python code: strings of several words, and the docstrings that are shown as help."""
    return [line for text in _python_strings(ast.parse(source)) if _is_prose(text) for line in _lines(text)]


def _python_strings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(_part(value) for value in node.values)
    else:
        yield from (text for child in _children(node) for text in _python_strings(child))


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "{…}"


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the child nodes, without docstrings that only developers read and without patterns."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
        return
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Expr) or not isinstance(child.value, ast.Constant) or _is_shown(node):
            yield child


def _is_shown(owner: ast.AST) -> bool:
    decorators = [ast.unparse(each) for each in getattr(owner, "decorator_list", [])]
    return any(word in decorator for word in SHOWN_DOCSTRINGS for decorator in decorators)


def script_messages(source: str) -> list[str]:
    """Return the messages in JavaScript or HTML: strings of several words, and labels."""
    without_comments = re.sub(r"(?m)^\s*//.*$|/\*[\s\S]*?\*/", "", source)
    found: list[str] = []
    _scan(without_comments, 0, found)
    return [line for text in found for line in _lines(text) if _is_prose(line)]


def _scan(source: str, at: int, found: list[str]) -> int:
    """Collect the strings up to the brace that closes this code, and return its position."""
    depth = 0
    while at < len(source):
        char = source[at]
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return at
        if string := re.compile(r'"((?:[^"\\\n]|\\.)*)"').match(source, at):
            found.append(string[1])
            at = string.end()
        elif char == "`":
            at = _scan_template(source, at + 1, found)
        else:
            at += 1
    return at


def _scan_template(source: str, at: int, found: list[str]) -> int:
    """Collect a template with its substitutions as `{…}`, then the strings inside them; return where it ends."""
    text, inner = "", list[str]()
    while source[at] != "`":
        if source.startswith("${", at):
            at = _scan(source, at + 2, inner) + 1
            text += "{…}"
        else:
            length = 2 if source[at] == "\\" else 1
            text += source[at : at + length]
            at += length
    found += [text, *inner]
    return at + 1


def _is_prose(text: str) -> bool:
    words = re.search(r"\S \S", text) and re.search(r"[A-Za-z]{2}", text)
    label = re.fullmatch(r"[A-Z][a-z]+(?:…|\.{3})?", text)
    return bool(words or label) and not SQL.match(text)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in inspect.cleandoc(text).splitlines() if line.strip()]


if __name__ == "__main__":
    LIST.write_text(listing())
