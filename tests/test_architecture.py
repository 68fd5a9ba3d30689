"""The architecture: a folder imports only from folders below it, and each library is used only where it belongs."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "localqueue"
MAY_IMPORT = {
    "core": "",
    "catalog": "core",
    "store": "core",
    "delivery": "core",
    "engine": "core catalog store delivery",
    "dashboard": "",
    "api": "core catalog store delivery engine dashboard",
    "server": "core catalog store delivery engine api",
    "client": "core store",
    "conformance": "core",
    "cli": "core catalog store delivery engine api server client conformance",
    "testing": "core catalog store delivery engine server client",
    "pytest_plugin": "core catalog testing",
    "__main__": "cli",
    "__init__": "",
}
"""The folders from the ground up, each with the folders that it may import from."""
LIBRARIES = {
    "aiosqlite": {"store"},
    "sqlite3": {"store"},
    "httpx": {"delivery", "client"},
    "h11": {"delivery"},
    "httptools": {"delivery"},
    "cronsim": {"catalog"},
    "yaml": {"catalog"},
    "anyio": {"testing"},
    "starlette": {"api", "dashboard", "server", "testing"},
    "uvicorn": {"server", "testing"},
    "click": {"cli"},
    "pytest": {"pytest_plugin"},
    "time": {"core/real_time.py"},
}
"""Where a library may be imported: folders, or one file."""
PACKAGE_LINES, TEST_LINES, FUNCTION_LINES = 400, 500, 45


def files(folder: Path, pattern: str = "*.py") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if "node_modules" not in path.parts)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import; the name is empty where a whole module is imported."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}: relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def target_folder(module: str, name: str) -> str | None:
    """Return the folder of the package that an import leads to, or None."""
    top, _, rest = module.partition(".")
    if top != "localqueue":
        return None
    folder = rest.split(".")[0] or name
    return folder if folder in MAY_IMPORT else None


PACKAGE_FILES = pytest.mark.parametrize("path", files(PACKAGE), ids=named)


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {folder_of(path) for path in files(PACKAGE)}
    assert folders == set(MAY_IMPORT)
    order = list(MAY_IMPORT)
    for folder, allowed in MAY_IMPORT.items():
        assert all(order.index(each) < order.index(folder) for each in allowed.split() if folder != "__main__"), folder


@PACKAGE_FILES
def test_a_folder_imports_only_from_folders_below_it(path: Path) -> None:
    folder = folder_of(path)
    for module, name in imports(path):
        target = target_folder(module, name)
        assert target in (None, folder) or target in MAY_IMPORT[folder].split(), f"{folder} may not import {module}"


@PACKAGE_FILES
def test_a_library_is_imported_only_where_it_belongs(path: Path) -> None:
    for module, _ in imports(path):
        allowed = LIBRARIES.get(module.split(".")[0])
        place = str(path.relative_to(PACKAGE))
        assert allowed is None or {place, folder_of(path)} & allowed, f"{place} may not import {module}"


@PACKAGE_FILES
def test_no_private_name_crosses_folders(path: Path) -> None:
    folder = folder_of(path)
    modules = {name: module for module, name in imports(path) if target_folder(module, name) not in (None, folder)}
    for name, module in modules.items():
        assert not name.startswith("_") or name.startswith("__"), f"{module}.{name} is private"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert not node.attr.startswith("_") or node.attr.startswith("__"), ast.unparse(node)


@PACKAGE_FILES
def test_init_files_hold_no_logic(path: Path) -> None:
    if path.name != "__init__.py":
        return
    for node in parsed(path).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert is_docstring or isinstance(node, ast.ImportFrom | ast.Assign), f"{named(path)}: line {node.lineno}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files(PACKAGE)}
    for path in files(PACKAGE):
        me = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        wanted = itertools.chain.from_iterable((module, f"{module}.{name}") for module, name in imports(path))
        graph[me] = {each for each in wanted if each in names and each != me}
    assert_no_circle(graph)


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for each in sorted(graph.get(name, ())):
                visit(each, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@PACKAGE_FILES
def test_only_the_clock_knows_the_time_and_sleeps(path: Path) -> None:
    if path.name in ("clock.py", "real_time.py") and folder_of(path) == "core":
        return
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("sleep", "utcnow") or ast.unparse(node.value).endswith("clock"), path
            assert ast.unparse(node) not in ("datetime.now", "time.time"), path


@PACKAGE_FILES
def test_docstrings_of_functions_start_with_a_verb_and_those_of_classes_with_a_noun_phrase(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            first = text.partition(" ")[0]
            is_command = path.is_relative_to(PACKAGE / "cli") and node.name == "main"  # its docstring is `--help`
            if text and not is_command:
                is_class = isinstance(node, ast.ClassDef)
                assert (first in ("A", "An", "The")) is is_class, f"{named(path)}: {node.name}: {text.splitlines()[0]}"
                assert is_class or not first.endswith("s") or first in ("Pass",), f"{named(path)}: {node.name}: {first}"


@PACKAGE_FILES
def test_functions_and_files_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= PACKAGE_LINES
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{path.name}: {node.name}"


@pytest.mark.parametrize("path", files(ROOT / "tests"), ids=named)
def test_test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= TEST_LINES


def test_no_module_of_the_dashboard_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for path in files(PACKAGE / "dashboard" / "static", "*.js"):
        found = re.findall(r"""^(?:import|export)\s[^;"']*["'](\.[^"']+)["']""", path.read_text(), re.MULTILINE)
        graph[str(path)] = {str((path.parent / each).resolve()) for each in found}
    assert any(graph.values())
    assert_no_circle(graph)
