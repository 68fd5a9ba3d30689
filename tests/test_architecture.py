"""The architecture: a folder imports only from folders below it, and each library is used only where it belongs."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

Node = TypeVar("Node", bound=ast.AST)
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
VAGUE_NAMES = {"found", "each", "given"}
JAVASCRIPT_BINDING = re.compile(
    r"\b(?:const|let|var)\s+(?:\w+|[\[{].*?[\]}]\s*(?==|of\b|in\b))"  # declared, also by destructuring
    r"|,\s*\w+\s*=(?![=>])"  # declared after another one, or a parameter with a default
    r"|\w+\s*=>|\((?:[^()]|\([^()]*\))*\)\s*(?:=>|\{)",  # the parameters of arrows, functions, methods and catch
    re.DOTALL,
)


@functools.cache
def files(folder: Path, pattern: str = "*.py") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if "node_modules" not in path.parts)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def found(*kinds: type[Node]) -> Iterator[tuple[Path, Node]]:
    """Yield (file, node) of every node of these kinds in the package."""
    yield from ((path, node) for path in files(PACKAGE) for node in nodes(path) if isinstance(node, kinds))


@functools.cache
def imports(path: Path) -> list[tuple[str, str]]:
    """Return (module, name) of every import; the name is empty where a whole module is imported."""
    found: list[tuple[str, str]] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}: relative import"
            found += ((node.module or "", alias.name) for alias in node.names)
    return found


def target_folder(module: str, name: str) -> str | None:
    """Return the folder of the package that an import leads to, or None."""
    top, _, rest = module.partition(".")
    if top != "localqueue":
        return None
    folder = rest.split(".")[0] or name
    return folder if folder in MAY_IMPORT else None


def foreign_imports(path: Path) -> dict[str, str]:
    """Return the names that a file imports from other folders, each with its module."""
    own = (None, folder_of(path))
    return {name: module for module, name in imports(path) if target_folder(module, name) not in own}


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {folder_of(path) for path in files(PACKAGE)}
    assert folders == set(MAY_IMPORT)
    order = list(MAY_IMPORT)
    for folder, allowed in MAY_IMPORT.items():
        assert all(order.index(each) < order.index(folder) for each in allowed.split() if folder != "__main__"), folder


def test_a_folder_imports_only_from_folders_below_it() -> None:
    assert [
        f"{named(path)} may not import {module}"
        for path in files(PACKAGE)
        for module, name in imports(path)
        if target_folder(module, name) not in (None, folder_of(path), *MAY_IMPORT[folder_of(path)].split())
    ] == []


def test_a_library_is_imported_only_where_it_belongs() -> None:
    def may_import(path: Path, module: str) -> bool:
        allowed = LIBRARIES.get(module.split(".")[0])
        return allowed is None or bool({str(path.relative_to(PACKAGE)), folder_of(path)} & allowed)

    assert [
        f"{named(path)} may not import {module}"
        for path in files(PACKAGE)
        for module, _ in imports(path)
        if not may_import(path, module)
    ] == []


def test_no_private_name_crosses_folders() -> None:
    assert [
        f"{named(path)}: {module}.{name}"
        for path in files(PACKAGE)
        for name, module in foreign_imports(path).items()
        if is_private(name)
    ] == []
    assert [
        f"{named(path)}: {ast.unparse(node)}"
        for path, node in found(ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id in foreign_imports(path) and is_private(node.attr)
    ] == []


def test_init_files_hold_no_logic() -> None:
    def is_logic(node: ast.stmt) -> bool:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        return not is_docstring and not isinstance(node, ast.ImportFrom | ast.Assign)

    assert [
        f"{named(path)}: line {node.lineno}"
        for path, module in found(ast.Module)
        for node in module.body
        if path.name == "__init__.py" and is_logic(node)
    ] == []


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


def test_only_the_clock_knows_the_time_and_sleeps() -> None:
    def asks_the_time(node: ast.Attribute) -> bool:
        is_own = node.attr in ("sleep", "utcnow") and not ast.unparse(node.value).endswith("clock")
        return is_own or (node.attr in ("now", "time") and ast.unparse(node) in ("datetime.now", "time.time"))

    assert [
        f"{named(path)}: line {node.lineno}"
        for path, node in found(ast.Attribute)
        if named(path) not in ("localqueue/core/clock.py", "localqueue/core/real_time.py") and asks_the_time(node)
    ] == []


def test_docstrings_of_functions_start_with_a_verb_and_those_of_classes_with_a_noun_phrase() -> None:
    def is_right(path: Path, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        first = (ast.get_docstring(node) or "").partition(" ")[0]
        if not first or (path.is_relative_to(PACKAGE / "cli") and node.name == "main"):  # its docstring is `--help`
            return True
        if isinstance(node, ast.ClassDef):
            return first in ("A", "An", "The")
        return first not in ("A", "An", "The") and (not first.endswith("s") or first == "Pass")

    assert [
        f"{named(path)}: {node.name}"
        for path, node in found(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if not is_right(path, node)
    ] == []


def test_a_variable_is_named_after_what_it_holds() -> None:
    def bound_name(node: ast.Name | ast.arg | ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> str | None:
        if isinstance(node, ast.Name):
            return node.id if isinstance(node.ctx, ast.Store) else None
        return node.arg if isinstance(node, ast.arg) else node.name

    assert [
        f"{named(path)}:{node.lineno}: {bound_name(node)}"
        for path, node in found(ast.Name, ast.arg, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
        if bound_name(node) in VAGUE_NAMES
    ] == []


def test_functions_and_files_stay_small() -> None:
    assert [
        f"{named(path)}: {node.name}"
        for path, node in found(ast.FunctionDef, ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ] == []
    assert [named(path) for path in files(PACKAGE) if lines(path) > PACKAGE_LINES] == []
    assert [named(path) for path in files(ROOT / "tests") if lines(path) > TEST_LINES] == []


def test_no_module_of_the_dashboard_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for path in files(PACKAGE / "dashboard" / "static", "*.js"):
        found = re.findall(r"""^(?:import|export)\s[^;"']*["'](\.[^"']+)["']""", path.read_text(), re.MULTILINE)
        graph[str(path)] = {str((path.parent / each).resolve()) for each in found}
    assert any(graph.values())
    assert_no_circle(graph)


def javascript_names(text: str) -> set[str]:
    """Return the variables and parameters of JavaScript code, without keys, properties, comments and texts."""
    code = re.sub(r'/\*.*?\*/|(?:^|\s)//[^\n]*|"[^"\n]*"', "", text, flags=re.DOTALL | re.MULTILINE)
    bindings = " ".join(JAVASCRIPT_BINDING.findall(code))
    return set(re.findall(r"(?<![\w$])(?<!(?<!\.\.)\.)[a-z]\w*(?![\w$]|\s*:)", bindings))


def test_variables_of_the_javascript_say_what_they_hold() -> None:
    scripts = [*files(PACKAGE / "dashboard" / "static", "*.js"), *files(ROOT / "npm" / "localqueue", "*.cjs")]
    names = {named(path): javascript_names(path.read_text()) for path in scripts}
    assert {"queue", "job"} <= set().union(*names.values())
    assert {path: vague for path, used in names.items() if (vague := used & VAGUE_NAMES)} == {}


@pytest.mark.parametrize(
    "code",
    ["const found = 1;", "let at = 0, found = 1;", "const { found } = job;", "const { name: found = [] } = job;",
     "const [first, found] = jobs;", "for (const found of jobs) run(found);", "jobs.map(found => 1);",
     "jobs.map((found) => 1);", "jobs.map((job, found = {}) => 1);", "call(({ name, ...found }) => 1);",
     "function* run(name, found) {", "  async #run(found, { isOn = false } = {}) {", "} catch (found) {"],
)  # fmt: skip
def test_every_way_to_declare_a_name_in_javascript_is_seen(code: str) -> None:
    assert "found" in javascript_names(code)


@pytest.mark.parametrize(
    "code", ["({ found: job }) => 1", "if (run(job).found) {", "/* (found) => */", 'if (run("not found")) {']
)
def test_keys_properties_comments_and_texts_of_javascript_are_no_variables(code: str) -> None:
    assert "found" not in javascript_names(code)
