"""Find the server that commands talk to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from localqueue.core.settings import DEFAULT_PORT


def find_server(given: str | None, environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> str:
    """Return where a server should be: as given, IEC_QUEUE_URL, a server.json here or above, the default port."""
    found = given or environ.get("IEC_QUEUE_URL") or read_server_file(folder or Path.cwd()).get("url")
    return (found or f"http://localhost:{DEFAULT_PORT}").rstrip("/")


def read_server_file(folder: Path) -> dict[str, str]:
    """Return what `up` has left in a server.json here or above: url, pid, db, version; nothing where there is none."""
    for parent in (folder, *folder.parents):
        try:
            found = json.loads((parent / ".localqueue" / "server.json").read_text())
            return {"folder": str(parent), **{name: str(found[name]) for name in ("url", "pid", "db", "version")}}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}
