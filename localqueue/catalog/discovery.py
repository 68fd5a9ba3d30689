"""Find catalog files: those that are named, or those of the folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from localqueue.catalog import yaml_nodes
from localqueue.catalog.yaml_nodes import BadYaml, get
from localqueue.core.models import Finding

FILE_NAMES = ("catalog-info.yaml", "catalog-info.yml")
MAX_LEVELS = 3
SKIPPED_FOLDERS = frozenset({"node_modules", "skeleton", "template", "templates"})
_TEMPLATE = re.compile(rb"\$\{\{|\{\{|\{%")
Discovered = tuple[list[Path], list[Finding]]
"""The catalog files, and a note about each file that was skipped."""


def discover(folder: Path) -> Discovered:
    """Return the catalog of a folder if it declares queues or schedules, else the catalogs below that do.

    Looks up to three levels below, but not into hidden folders, node_modules, skeleton, template or templates.
    """
    own = _catalog_of(folder)
    if own is not None and declares_work(own):
        return [own], []
    below = [path for child in _subfolders(folder, MAX_LEVELS) if (path := _catalog_of(child)) is not None]
    notes = [_skipped(path) for path in below if is_template(path)]
    declaring = [path for path in below if not is_template(path) and declares_work(path)]
    return (declaring or ([own] if own is not None else [])), notes


def expand(named: Sequence[Path]) -> list[Path]:
    """Return the files that `--catalog` means: a file as it is, the catalogs of a folder, the matches of a glob."""
    return list(dict.fromkeys(file for path in named for file in _expand(path)))


def _expand(named: Path) -> list[Path]:
    if named.is_dir():
        return discover(named)[0] or [named / FILE_NAMES[0]]
    if not named.exists() and glob.has_magic(str(named)):
        matches = sorted(Path(match) for match in glob.glob(str(named), recursive=True))
        files = [path for match in matches for path in ([match] if match.is_file() else discover(match)[0])]
        return files or [named]
    return [named]


def _catalog_of(folder: Path) -> Path | None:
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def _subfolders(folder: Path, levels: int) -> Iterator[Path]:
    """Yield the folders below, parents first, in the order of their names."""
    try:
        children = sorted(child for child in folder.iterdir() if child.is_dir() and not child.is_symlink())
    except OSError:
        return
    for child in children:
        if child.name.startswith(".") or child.name in SKIPPED_FOLDERS:
            continue
        yield child
        if levels > 1:
            yield from _subfolders(child, levels - 1)


def declares_work(path: Path) -> bool:
    """Return whether a file declares queues or schedules; a broken file that seems to does, so that it is reported."""
    try:
        raw = path.read_bytes()
    except OSError:
        return True
    try:
        specs = [get(root, "spec") for root in yaml_nodes.compose(raw)]
        return any(get(spec, key) is not None for spec in specs for key in ("queues", "schedules"))
    except BadYaml:
        return b"queues" in raw or b"schedules" in raw


def is_template(path: Path) -> bool:
    """Return whether a file contains template expressions that were not rendered."""
    try:
        return _TEMPLATE.search(path.read_bytes()) is not None
    except OSError:
        return False


def _skipped(path: Path) -> Finding:
    message = "skipped, because it contains template expressions that were not rendered"
    return Finding(str(path), 0, 0, "template", message, is_error=False)
