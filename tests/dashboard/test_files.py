"""The dashboard's files: a fixed table, served as they are, with nothing in them that a strict policy forbids."""

from __future__ import annotations

import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from localqueue.dashboard import routes
from localqueue.dashboard.tab_icons import tab_icons
from tests.support import Server, http, serving, write_catalog

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "localqueue/dashboard/static"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dashboard")
    write_catalog(folder)
    with serving(folder) as found:
        yield found


def get(server: Server, path: str, **headers: str) -> httpx.Response:
    return http.get(server.url + path, headers=headers)


def test_the_page_and_its_files_are_served_with_their_types_and_the_strict_policy(server: Server) -> None:
    page = get(server, "/_localqueue/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    types = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
    for name, file in routes.files().items():
        answer = get(server, f"/_localqueue/static/{name}")
        assert answer.content == file.content and (name in tab_icons() or file.content == (STATIC / name).read_bytes())
        assert answer.headers["content-type"] == types.get(Path(name).suffix, "text/html; charset=utf-8")
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_the_icons_of_a_tab_show_the_number_of_failed_jobs(server: Server) -> None:
    """Rule dashboard.title."""
    numbers = {**{str(count): str(count) for count in range(1, 10)}, "more": "9+"}
    for name, number in numbers.items():
        icon = ElementTree.fromstring(get(server, f"/_localqueue/static/icon_failed_{name}.svg").text)
        assert [shape.text for shape in icon] == [None, number]


def test_a_browser_is_sent_from_the_root_to_the_dashboard_and_programs_get_an_error(server: Server) -> None:
    """Rule dashboard.address."""
    for path in ("/", "/_localqueue"):
        answer = get(server, path, **BROWSER)
        assert (answer.status_code, answer.headers["location"]) == (307, "/_localqueue/")
    assert get(server, "/").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "name",
    ["../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "..%5c__init__.py", "%2fetc/passwd", "//etc/passwd",
     "app.js%00", "app.js/", "views", "views/../app.js", "", "APP.JS", "nothing.js"],
)  # fmt: skip
def test_unknown_dashboard_files_are_not_found(server: Server, name: str) -> None:
    """Rule dashboard.files: a URL is a key of a table and never becomes a path."""
    head = f"GET /_localqueue/static/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert raw_status(server, head) == 404


def raw_status(server: Server, head: str) -> int:
    with socket.create_connection(("127.0.0.1", server.ready["port"]), timeout=20) as connection:
        connection.sendall(head.encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_nothing_in_the_files_makes_markup_of_text_or_leaves_this_machine() -> None:
    """Rule dashboard.text."""
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\b"
        r"|new Function|setTimeout\(\"|javascript:|\bstyle=|\bon[a-z]+=\"|@import|url\(|https?://(?!localhost|www\.w3\.org)"
    )
    for path in STATIC.rglob("*.*"):
        assert not forbidden.findall(path.read_text()), path
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="static/app.js">'] and "<style" not in page


def test_every_file_is_in_the_package_and_in_the_table() -> None:
    """Rule dashboard.files: it works where the package is installed, not only in a clone."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["localqueue"]
    packed = {path for pattern in patterns for path in (ROOT / "localqueue").glob(pattern) if path.is_file()}
    present = {path for path in STATIC.rglob("*") if path.is_file()}
    assert present <= packed
    assert {str(path.relative_to(STATIC)) for path in present} | tab_icons().keys() == set(routes.files())
