"""Serve the dashboard: a fixed table of files, read or generated once; it talks to `control` only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localqueue.dashboard.tab_icons import tab_icons

HOME = "/_localqueue/"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    content: bytes
    media_type: str


def files() -> dict[str, File]:
    """Return every file of the dashboard by its name: a URL is looked up here and never becomes a path."""
    drawn = {name: File(icon.encode(), MEDIA_TYPES[".svg"]) for name, icon in tab_icons().items()}
    return dict(_files(resources.files(__package__) / "static", "")) | drawn


def _files(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    rows: list[tuple[str, File]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            rows += _files(entry, f"{prefix}{entry.name}/")
        elif media_type := MEDIA_TYPES.get(PurePosixPath(entry.name).suffix):
            rows.append((prefix + entry.name, File(entry.read_bytes(), media_type)))
    return rows


def routes() -> list[Route]:
    """Return the page and its files, to be mounted under /_localqueue."""
    table = files()

    async def page(_: Request) -> Response:
        return _send(table["index.html"])

    async def static(request: Request) -> Response:
        file = table.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return _send(file)

    return [Route("/", page), Route("/static/{name:path}", static)]


def entrances() -> list[Route]:
    """Return the routes that send a browser to the dashboard."""

    async def root(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return RedirectResponse(HOME, 307)

    async def without_slash(_: Request) -> Response:
        return RedirectResponse(HOME, 307)

    return [Route("/", root), Route("/_localqueue", without_slash)]


def _send(file: File) -> Response:
    return Response(file.content, headers={"Content-Type": file.media_type})
