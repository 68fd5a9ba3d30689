"""Check everything that a working setup needs, and say how to fix what is wrong."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localqueue import __version__
from localqueue.catalog import discovery, loader
from localqueue.cli.port_probe import Probe, probe
from localqueue.client.connect import connect
from localqueue.client.discovery import ServerAddress, find_server
from localqueue.core.addresses import OTHER_LOOPBACK, is_localhost, split_url
from localqueue.core.errors import CatalogError, ClientError, NoServer, StartError
from localqueue.core.models import Catalog, Finding
from localqueue.core.text import counted, nearest
from localqueue.core.times import distance, parse_time
from localqueue.server import sockets
from localqueue.store import connections, files

MIN_OPEN_FILES = 4096
"""How many open files a burst of thousands of requests needs."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its level (ok, note or problem), and how to fix it."""

    topic: str
    level: str
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """The input of the checks: the folder's catalogs, the server that commands would use, and the environment."""

    folder: Path
    paths: list[Path]
    catalog: Catalog
    findings: tuple[Finding, ...]
    address: ServerAddress
    status: dict[str, Any] | None
    error: ClientError | None
    environ: Mapping[str, str]

    @property
    def services(self) -> list[tuple[str, str]]:
        """Return (namespace, target) of the services that the server has, or would have."""
        if self.status is not None:
            return [(str(service["namespace"]), str(service["target"])) for service in self.status["services"]]
        return [(service.namespace, service.target) for service in self.catalog.services]


def inspect_setup(url: str | None, folder: Path, environ: Mapping[str, str] = os.environ) -> Setup:
    """Return the current setup of a folder."""
    discovered, notes = discovery.discover(folder)
    paths = [path.relative_to(folder) for path in discovered]
    catalog, findings = _load(paths)
    address = find_server(url, environ, folder)
    status, error = _ask(address)
    return Setup(folder, paths, catalog, (*notes, *findings), address, status, error, environ)


def _load(paths: list[Path]) -> tuple[Catalog, tuple[Finding, ...]]:
    try:
        catalog = loader.load(paths)
    except CatalogError as error:
        return Catalog(), error.findings
    return catalog, catalog.warnings


def _ask(address: ServerAddress) -> tuple[dict[str, Any] | None, ClientError | None]:
    try:
        with connect(address.url, address.source) as client:
            return client.check(), None
    except ClientError as error:
        return None, error


def run_checks(setup: Setup) -> list[Check]:
    """Return the result of every check; a status that can't be read is a problem of the server."""
    try:
        return list(_checks(setup))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if setup.status is None:
            raise
        hint = "If its version is another one, stop it, then start it again: localqueue up"
        unreadable = ClientError(f"unexpected status of the server ({type(error).__name__}: {error})", hint)
        return list(_checks(replace(setup, status=None, error=unreadable)))


def _checks(setup: Setup) -> Iterator[Check]:
    yield from _versions()
    yield _open_files()
    yield from _folder(setup)
    yield from _catalogs(setup)
    yield from _server(setup)
    yield from (_service(setup, *service) for service in setup.services)
    yield from _environment(setup)


# this machine


def _versions() -> Iterator[Check]:
    sqlite, is_new_enough = connections.sqlite_version()
    text = f"localqueue {__version__}, Python {platform.python_version()}, SQLite {sqlite}"
    if is_new_enough:
        yield Check("versions", "ok", text)
    else:
        yield Check(
            "versions", "problem", f"{text}, which is too old", "Use a newer Python, which brings its own SQLite."
        )
    installed = {name: _version_of(name) for name in ("uvloop", "httptools")}
    missing = [name for name, version in installed.items() if not version]
    if missing:
        text = f"{' and '.join(missing)} not installed: everything works, but slower"
        yield Check("speed", "note", text, f"Install: pip install {' '.join(missing)}")
    else:
        yield Check("speed", "ok", " and ".join(f"{name} {version}" for name, version in installed.items()))


def _version_of(name: str) -> str:
    """Return the version of a module, or nothing; the self-contained executable has modules without metadata."""
    try:
        return str(importlib.import_module(name).__version__)
    except ImportError:
        return ""


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= MIN_OPEN_FILES:
        return Check("files", "ok", f"open-file limit: {soft} (`up` raises it as far as allowed)")
    text = f"open-file limit: {hard}, which is too low for thousands of requests at once"
    return Check("files", "note", text, f"Raise it: ulimit -Hn {MIN_OPEN_FILES}")


def _folder(setup: Setup) -> Iterator[Check]:
    folder = setup.folder / files.FOLDER
    place = folder if folder.exists() else setup.folder
    if setup.status is None and not os.access(place, os.W_OK | os.X_OK):
        fix = "Use another file: localqueue up --db PATH, or a temporary one: localqueue up --ephemeral"
        yield Check("folder", "problem", f"{place} is read-only, so `up` can't create its database there", fix)


def _catalogs(setup: Setup) -> Iterator[Check]:
    for finding in setup.findings:
        is_problem = finding.is_error or finding.code == "shared_target"
        yield Check("catalog", "problem" if is_problem else "note", str(finding))
    if not setup.paths:
        level = "note" if setup.status is not None else "problem"
        fix = "Go to the folder of your service, or name a catalog: localqueue up --catalog FILE"
        yield Check("catalog", level, "no catalog-info.yaml here or up to three levels below", fix)
    for service in setup.catalog.services:
        text = f"{service.path}: {counted(len(service.queues), 'queue')} in {service.namespace}"
        fix = "" if service.queues else "Declare queues under spec.queues."
        yield Check("catalog", "ok" if service.queues else "note", text, fix)


# the server


def _server(setup: Setup) -> Iterator[Check]:
    place = f"{setup.address.url} (from {setup.address.source})"
    if setup.status is not None:
        yield from _running(setup, setup.status, place)
    elif isinstance(setup.error, NoServer):
        yield Check("server", "note", f"not running at {place}", "Start it: localqueue up")
        yield from _port(setup.address.url)
    elif setup.error is not None:
        yield Check("server", "problem", f"{setup.error.message} (from {setup.address.source})", setup.error.hint)


def _running(setup: Setup, status: dict[str, Any], place: str) -> Iterator[Check]:
    yield Check("server", "ok", f"running at {place}, pid {status['pid']}")
    if status["version"] != __version__:
        text = f"the server has version {status['version']}, this command has {__version__}"
        yield Check("server", "note", text, "Stop the server, then start it again: localqueue up")
    if status["storage"]["error"]:
        text = f"can't write its database: {status['storage']['error']}"
        yield Check("server", "problem", text, "Free some disk space, or use another file: localqueue up --db PATH")
    served = {namespace for namespace, _ in setup.services}
    for service in setup.catalog.services:
        if service.namespace not in served:
            text = f"serves {', '.join(sorted(served)) or 'no service'}, but not {service.namespace} of this folder"
            yield Check("server", "problem", text, "Start a server for this folder: localqueue up --port 0")
    yield from _rejections(status)
    yield from _explanations(status)


def _explanations(status: dict[str, Any]) -> Iterator[Check]:
    for entry in status.get("explanations", []):
        meaning = entry["explanation"]
        where = f"{entry['namespace']}/{entry['queue']}"
        hint = meaning["command"] if meaning["command"] != "localqueue doctor" else ""
        since = distance(parse_time(entry["lastAt"]) - parse_time(status["now"]))
        times = f"{counted(entry['count'], 'attempt')}, {'' if entry['count'] == 1 else 'the latest '}{since}"
        yield Check("attempts", "note", f"{where}: {times}: {meaning['text']}", hint)


def _rejections(status: dict[str, Any]) -> Iterator[Check]:
    for rejection in status.get("rejections", ()):
        text = f"refused {counted(rejection['count'], 'request')}: {rejection['code']}: {rejection['message']}"
        yield Check("requests", "problem", text, rejection["hint"])


def _port(url: str) -> Iterator[Check]:
    """Try what `up` would do: nothing is listening, but the port may be taken on another address."""
    try:
        _, host, port = split_url(url)
        if not is_localhost(host) or not port:
            return
        for listener in sockets.bind(None, port):
            listener.close()
    except StartError as error:
        yield Check("port", "problem", error.message, error.hint)
    except (OSError, ValueError):
        return
    else:
        yield Check("port", "ok", f"{port} is free")


# services and environment


def _service(setup: Setup, namespace: str, target: str) -> Check:
    result = probe(target)
    if result.listening:
        return Check("service", "ok", f"{namespace} is listening on {' and '.join(result.listening)} ({target})")
    text = f"{namespace} at {target}: {result}"
    level = "problem" if setup.status is not None else "note"
    if other := _other_address(target, result):
        text = f"{text}, but something is listening on {other}"
        return Check("service", level, text, f"Use that address: localqueue up --target {other}")
    several = len(setup.services) > 1
    option = f"--target {namespace}=URL" if several else "--target URL"
    return Check("service", level, text, f"Start the service, or point localqueue elsewhere: localqueue up {option}")


def _other_address(target: str, result: Probe) -> str:
    """Return the URL of a service that listens only on the other loopback address, or an empty text."""
    scheme, host, port = split_url(target)
    other = OTHER_LOOPBACK.get(host)
    if other is None or result.problem:
        return ""
    url = f"{scheme}://{f'[{other}]' if ':' in other else other}:{port}"
    return url if probe(url).listening else ""


def _environment(setup: Setup) -> Iterator[Check]:
    yield _queue_url(setup)
    yield from _namespace(setup)


def _queue_url(setup: Setup) -> Check:
    exported = setup.environ.get("IEC_QUEUE_URL", "").rstrip("/")
    expected = find_server(None, {}, setup.folder).url if setup.status is None else setup.address.url
    fix = f"Before you start your service: export IEC_QUEUE_URL={shlex.quote(expected)}"
    if not exported:
        return Check("environment", "note", "IEC_QUEUE_URL isn't set in this shell", fix)
    if setup.status is None and setup.address.url == exported:
        return Check("environment", "note", f"IEC_QUEUE_URL={exported}, but no localqueue is running there", fix)
    if exported == expected:
        return Check("environment", "ok", f"IEC_QUEUE_URL={exported}")
    return Check("environment", "problem", f"IEC_QUEUE_URL={exported} points to another server", fix)


def _namespace(setup: Setup) -> Iterator[Check]:
    known = [namespace for namespace, _ in setup.services]
    exported = setup.environ.get("SERVICE_NAMESPACE")
    if not known:
        return
    fix = f"Before you start your service: export SERVICE_NAMESPACE={shlex.quote(nearest(exported or '', known)[0])}"
    if exported in known:
        yield Check("environment", "ok", f"SERVICE_NAMESPACE={exported}")
    elif exported:
        yield Check("environment", "problem", f"SERVICE_NAMESPACE={exported}, but no catalog declares it", fix)
    else:
        yield Check("environment", "note", "SERVICE_NAMESPACE isn't set in this shell", fix)
