"""Look at everything that a working set-up needs, and say what to do about what is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localqueue import __version__
from localqueue.catalog import loader
from localqueue.cli.port_probe import Probe, probe
from localqueue.client.client import Client
from localqueue.client.discovery import find_server, read_server_file
from localqueue.core.errors import CatalogError, ClientError, ConnectionBroken, NoServer, NotLocalqueue, StartError
from localqueue.core.models import Catalog, Finding
from localqueue.core.text import counted, nearest
from localqueue.server import sockets
from localqueue.store import connections

OPEN_FILES = 4096
"""How many open files a burst of thousands of requests needs at the least."""
_OTHER_FAMILY = {"127.0.0.1": "[::1]", "::1": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Check:
    """Hold what was seen (ok, note or wrong), and what to do about it."""

    topic: str
    level: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """Hold what the checks look at: the folder's catalogs, the server that commands would talk to, the environment."""

    folder: Path
    paths: list[Path]
    catalog: Catalog
    findings: tuple[Finding, ...]
    url: str
    source: str
    status: dict[str, Any] | None
    error: ClientError | None
    environ: Mapping[str, str]

    @property
    def services(self) -> list[tuple[str, str]]:
        """Return (namespace, target) of those that the server has, or would have."""
        if self.status is not None:
            return [(str(each["namespace"]), str(each["target"])) for each in self.status["services"]]
        return [(service.namespace, service.target) for service in self.catalog.services]


def inspect_setup(given: str | None, folder: Path, environ: Mapping[str, str] = os.environ) -> Setup:
    """Return what there is."""
    paths = [path.relative_to(folder) for path in loader.discover(folder)]
    declared, findings = _declared(paths, environ)
    url = find_server(given, environ, folder)
    status, error = _ask(url)
    return Setup(folder, paths, declared, findings, url, _source(given, folder, environ), status, error, environ)


def _declared(paths: list[Path], environ: Mapping[str, str]) -> tuple[Catalog, tuple[Finding, ...]]:
    try:
        found = loader.load(paths, environ=environ)
    except CatalogError as error:
        return Catalog(), error.findings
    return found, found.warnings


def _source(given: str | None, folder: Path, environ: Mapping[str, str]) -> str:
    if given:
        return "as --url says"
    if environ.get("IEC_QUEUE_URL"):
        return "as IEC_QUEUE_URL says"
    found = read_server_file(folder)
    return f"as {found['folder']}/.localqueue/server.json says" if found else "the default"


def _ask(url: str) -> tuple[dict[str, Any] | None, ClientError | None]:
    try:
        with Client(url) as client:
            return client.check(), None
    except ClientError as error:
        return None, error


def run_checks(place: Setup) -> Iterator[Check]:
    """Yield everything that was looked at, in the order in which one would ask."""
    yield from _versions()
    yield _open_files()
    yield from _catalogs(place)
    yield from _server(place)
    yield from (_service(place, *service) for service in place.services)
    yield from _exports(place)


def _versions() -> Iterator[Check]:
    sqlite, is_new_enough = connections.sqlite_version()
    text = f"localqueue {__version__}, Python {platform.python_version()}, SQLite {sqlite}"
    yield (
        Check("versions", "ok", text)
        if is_new_enough
        else Check("versions", "wrong", f"{text}, which is too old", "use a newer Python: SQLite comes with it")
    )
    found = {name: _version_of(name) for name in ("uvloop", "httptools")}
    missing = [name for name, version in found.items() if not version]
    if missing:
        what = " and ".join(missing)
        yield Check(
            "speed", "note", f"without {what}: everything works, but slower", f"pip install {' '.join(missing)}"
        )
    else:
        yield Check("speed", "ok", " and ".join(f"{name} {version}" for name, version in found.items()))


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = hard == resource.RLIM_INFINITY or hard >= OPEN_FILES
    text = f"{soft} open files, of which `up` makes as many as the system allows"
    if is_enough:
        return Check("files", "ok", text)
    return Check("files", "note", f"at most {hard} open files: not enough for thousands of requests at once",
                 f"raise the limit: ulimit -Hn {OPEN_FILES}")  # fmt: skip


def _catalogs(place: Setup) -> Iterator[Check]:
    for finding in place.findings:
        yield Check("catalog", "wrong" if finding.is_error else "note", str(finding))
    if not place.paths:
        level = "note" if place.status is not None else "wrong"
        remedy = "go to the folder of your service, or name one: localqueue up --catalog FILE"
        yield Check("catalog", level, "there is none in this folder or one below", remedy)
    for service in place.catalog.services:
        remedy = "" if service.queues else "declare some under spec.queues"
        what = f"{service.path}: {counted(len(service.queues), 'queue')} of {service.namespace}"
        yield Check("catalog", "ok" if service.queues else "note", what, remedy)


# the server


def _server(place: Setup) -> Iterator[Check]:
    if place.status is not None:
        yield from _running(place, place.status)
    elif isinstance(place.error, NoServer):
        yield Check("server", "note", f"none runs at {place.url} ({place.source})", "start one: localqueue up")
        yield from _port(place.url)
    elif place.error is not None:
        yield Check("server", "wrong", f"{place.error.message} ({place.source})", _elsewhere(place))


def _running(place: Setup, status: dict[str, Any]) -> Iterator[Check]:
    yield Check("server", "ok", f"pid {status['pid']} answers at {place.url} ({place.source})")
    if status["version"] != __version__:
        text = f"it is version {status['version']}, this command is {__version__}"
        yield Check("server", "note", text, "stop it and start it again")
    if status["storage"]["error"]:
        text = f"it can't write its database: {status['storage']['error']}"
        yield Check("server", "wrong", text, "make room on the disk, or choose another file: localqueue up --db PATH")
    served = {namespace for namespace, _ in place.services}
    for service in place.catalog.services:
        if service.namespace not in served:
            text = f"it serves {', '.join(sorted(served)) or 'nothing'}, not {service.namespace} of this folder"
            yield Check("server", "wrong", text, "start one for this folder: localqueue up --port 0")


def _port(url: str) -> Iterator[Check]:
    """Try what `up` would do; nothing listens there, but the port may be taken on another address."""
    try:
        parts = urlsplit(url)
        if parts.hostname != "localhost" or not parts.port:
            return
        for listener in sockets.bind(None, parts.port):
            listener.close()
    except StartError as error:
        yield Check("port", "wrong", error.message, error.hint)
    except (OSError, ValueError):
        return
    else:
        yield Check("port", "ok", f"{parts.port} is free")


def _elsewhere(place: Setup) -> str:
    if not isinstance(place.error, NotLocalqueue | ConnectionBroken):
        return ""
    if place.environ.get("IEC_QUEUE_URL") == place.url:
        return "it may be a shared environment: unset IEC_QUEUE_URL, or export that of your own"
    return "another program has the port: localqueue up --port 0 takes a free one"


# services and environment


def _service(place: Setup, namespace: str, target: str) -> Check:
    found = probe(target)
    if found.listening:
        return Check("service", "ok", f"{namespace} listens on {' and '.join(found.listening)} ({target})")
    text = f"{namespace} at {target}: {found}"
    level = "wrong" if place.status is not None else "note"
    if other := _on_the_other_family(target, found):
        return Check("service", level, f"{text}, but something does at {other}", f"localqueue up --target {other}")
    return Check("service", level, text, "start your service, or name another address: localqueue up --target URL")


def _on_the_other_family(target: str, found: Probe) -> str:
    """Return where a service may be that listens on the other loopback address only."""
    parts = urlsplit(target)
    other = _OTHER_FAMILY.get(parts.hostname or "")
    url = f"{parts.scheme}://{other}:{parts.port or 80}"
    return url if other and not found.problem and probe(url).listening else ""


def _exports(place: Setup) -> Iterator[Check]:
    yield _queue_url(place)
    yield from _namespace(place)


def _queue_url(place: Setup) -> Check:
    exported = place.environ.get("IEC_QUEUE_URL", "").rstrip("/")
    expected = find_server(None, {}, place.folder) if place.status is None else place.url
    remedy = f"before you start your service: export IEC_QUEUE_URL={shlex.quote(expected)}"
    if not exported:
        return Check("environment", "note", "IEC_QUEUE_URL is not set here", remedy)
    if place.status is None and place.url == exported:
        return Check("environment", "note", f"IEC_QUEUE_URL={exported}, where no localqueue answers", remedy)
    if exported == expected:
        return Check("environment", "ok", f"IEC_QUEUE_URL={exported}")
    return Check("environment", "wrong", f"IEC_QUEUE_URL={exported} leads elsewhere", remedy)


def _namespace(place: Setup) -> Iterator[Check]:
    known = [namespace for namespace, _ in place.services]
    exported = place.environ.get("SERVICE_NAMESPACE")
    if not known:
        return
    remedy = f"before you start your service: export SERVICE_NAMESPACE={shlex.quote(nearest(exported or '', known)[0])}"
    if exported in known:
        yield Check("environment", "ok", f"SERVICE_NAMESPACE={exported}")
    elif exported:
        yield Check("environment", "wrong", f"SERVICE_NAMESPACE={exported}, which nothing serves", remedy)
    else:
        yield Check("environment", "note", "SERVICE_NAMESPACE is not set here", remedy)
