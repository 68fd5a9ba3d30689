"""The layers: a module imports only from layers above its own, and some names only where they belong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "localqueue"
LAYERS = [
    {"__init__", "errors", "records", "models", "clock", "crashpoint", "text", "ids"},
    {"lifecycle", "yaml_nodes", "catalog", "configuration", "settings", "envelope", "events", "ledger"},
    {"store", "parsing", "connecting", "secure", "wire", "delivery"},
    {"backlog", "lanes", "flight", "dispatcher", "timeline", "views", "jobs", "engine", "watch"},
    {
        "answers",
        "body",
        "schemas",
        "query",
        "operation",
        "openapi",
        "gate",
        "api",
        "control",
        "dashboard",
        "app",
        "sockets",
        "server",
        "client",
    },
    {"cli", "__main__", "testing", "pytest_plugin"},
]
ONLY_IN = {
    "aiosqlite": {"store"},
    "sqlite3": {"store"},
    "httpx": {"parsing", "wire", "secure", "delivery", "client", "testing"},
    "h11": {"parsing"},
    "httptools": {"parsing"},
    "yaml": {"yaml_nodes", "catalog"},
    "starlette": {
        "answers",
        "body",
        "query",
        "operation",
        "gate",
        "api",
        "control",
        "dashboard",
        "app",
    },
    "uvicorn": {"server", "testing"},
    "click": {"cli"},
    "pytest": {"pytest_plugin"},
    "time": {"clock"},
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def top(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "localqueue":
            found += [f"localqueue.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    me = top(path)
    for name in imports(path):
        first, _, rest = name.partition(".")
        assert me in ONLY_IN.get(first, {me}), f"{path.name} may not import {first}"
        if first == "localqueue" and (other := rest.split(".")[0]) in {name for layer in LAYERS for name in layer}:
            is_typing = me == "errors" and other == "models"
            assert level(other) <= level(me) or is_typing, f"{me} may not import {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_clock_knows_the_time_and_sleeps(path: Path) -> None:
    if top(path) == "clock":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("sleep", "utcnow") or ast.unparse(node.value).endswith("clock"), path
            assert ast.unparse(node) not in ("datetime.now", "time.time"), path


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_and_files_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 420
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "routes":
            assert (node.end_lineno or 0) - node.lineno < 45, f"{path.name}: {node.name}"
