"""The machine on which the figures were measured."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("starlette", "uvicorn", "httptools", "uvloop", "httpx", "aiosqlite")
SYNCS = 50


def describe(scratch: Path) -> dict[str, Any]:
    """Return cores, load, versions, and the duration of a synced write on the measured disk."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "node": _version(["node", "--version"]),
        "packages": {name: _package(name) for name in PACKAGES},
        "fsyncMs": round(fsync_ms(scratch), 3),
    }


def shown(found: dict[str, Any]) -> str:
    """Return it as text."""
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return (
        f"{found['cores']} cores (load {found['load']}), {found['system']}, Python {found['python']}, "
        f"SQLite {found['sqlite']}, node {found['node']}, {packages}; "
        f"a synced write of 4 KiB takes {found['fsyncMs']} ms"
    )


def fsync_ms(folder: Path) -> float:
    """Return the median duration of a small synced write."""
    path, found = folder / "fsync", []
    with open(path, "wb") as file:
        for _ in range(SYNCS):
            begin = time.monotonic()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            found.append(time.monotonic() - begin)
    path.unlink()
    return statistics.median(found) * 1000


def _version(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return "none"
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
