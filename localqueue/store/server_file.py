"""Write and read `.localqueue/server.json`, by which commands find the server of a folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from localqueue.store import files

NAME = "server.json"
FIELDS = ("url", "pid", "db", "version")


@contextlib.contextmanager
def announced(content: Mapping[str, str | int]) -> Iterator[dict[str, str] | None]:
    """Announce a server in the current folder during a block.

    Yields None, or the entry of another live server, which is left alone.
    """
    path = Path(files.FOLDER) / NAME
    other = _read(path)
    if other is not None and is_alive(other):
        yield other
        return
    files.prepare_folder(path)
    files.write_private(path, json.dumps(content))
    try:
        yield None
    finally:
        if (_read(path) or {}).get("pid") == str(os.getpid()):
            path.unlink(missing_ok=True)


def find(folder: Path) -> dict[str, str]:
    """Return the entry of a folder or of the nearest folder above: its `folder`, and FIELDS; {} if there is none."""
    for parent in (folder, *folder.parents):
        entry = _read(parent / files.FOLDER / NAME)
        if entry is not None:
            return {"folder": str(parent), **entry}
    return {}


def is_alive(entry: Mapping[str, str]) -> bool:
    """Return whether the process of an entry exists."""
    try:
        os.kill(int(entry["pid"]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError, ValueError):
        return True
    return True


def _read(path: Path) -> dict[str, str] | None:
    try:
        content = json.loads(path.read_text())
        return {name: str(content[name]) for name in FIELDS}
    except (OSError, ValueError, KeyError, TypeError):
        return None
