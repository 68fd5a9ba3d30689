"""Find the server that commands talk to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localqueue.core.settings import DEFAULT_PORT
from localqueue.store import server_file

DEFAULT = "the default"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A URL and where it comes from: `--url`, `IEC_QUEUE_URL`, the path of a server.json, or DEFAULT."""

    url: str
    source: str

    @property
    def is_default(self) -> bool:
        """Return whether neither the user nor a folder names the server: it may be anybody's."""
        return self.source == DEFAULT


def find_server(url: str | None, environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> ServerAddress:
    """Return the address of the server: `--url`, IEC_QUEUE_URL, a server.json here or above, or the default port."""
    if url:
        return ServerAddress(url.rstrip("/"), "--url")
    if environ.get("IEC_QUEUE_URL"):
        return ServerAddress(environ["IEC_QUEUE_URL"].rstrip("/"), "IEC_QUEUE_URL")
    entry = server_file.find(folder or Path.cwd())
    if entry:
        return ServerAddress(entry["url"].rstrip("/"), f"{entry['folder']}/.localqueue/server.json")
    return ServerAddress(f"http://localhost:{DEFAULT_PORT}", DEFAULT)
