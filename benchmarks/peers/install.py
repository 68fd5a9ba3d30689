"""Put peers into the scratch folder on demand: npm packages, and Redis. Nothing outside that folder is touched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REDIS_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
INSTALL_S = 900


class Unavailable(Exception):
    """Say why a peer can't be measured here."""


@dataclass(frozen=True)
class Redis:
    """Hold a redis-server and the folder of its libraries."""

    command: str
    libraries: str = ""


def npm(scratch: Path, package: str, version: str, *more: str) -> Path:
    """Return a folder with the package installed. Raises Unavailable."""
    folder = scratch / "peers" / f"{package}-{version}"
    if (folder / "installed").exists():
        return folder
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"installing {package} {version} into {folder}", flush=True)
    _call(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".", f"{package}@{version}", *more],
        folder,
    )
    (folder / "installed").touch()
    return folder


def redis(scratch: Path) -> Redis:
    """Return the redis-server of this machine, or Debian's, unpacked into the scratch folder. Raises Unavailable."""
    if found := shutil.which("redis-server"):
        return Redis(found)
    root = scratch / "peers" / "redis"
    if not (root / "usr/bin/redis-server").exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise Unavailable("redis-server is not installed, and there is no apt-get to get it with")
        print(f"unpacking redis-server into {root}", flush=True)
        root.mkdir(parents=True, exist_ok=True)
        _call(["apt-get", "download", "-qq", *REDIS_PACKAGES], root)
        for package in root.glob("*.deb"):
            _call(["dpkg", "-x", package.name, "."], root)
    libraries = {str(path.parent) for path in (root / "usr/lib").rglob("*.so*")}
    return Redis(str(root / "usr/bin/redis-server"), ":".join(sorted(libraries)))


def _call(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_S)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{' '.join(command[:2])} failed: {reason[-1] if reason else error}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:2])} took more than {INSTALL_S} s") from None
