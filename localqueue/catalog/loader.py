"""Read catalog files into services and queues, and find everything that is wrong with them at once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from localqueue.catalog import yaml_nodes
from localqueue.catalog.yaml_nodes import BadYaml, get, pairs, position
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding, Queue, Service
from localqueue.core.text import nearest, safe
from localqueue.core.times import DAY_MS

FILE_NAMES = ("catalog-info.yaml", "catalog-info.yml")
DEFAULT_PORT = 3000
PORT_ANNOTATION = "insureco.io/port"
RANGES = {
    "concurrency": (1, 1000),
    "retries": (0, 1000),
    "retryDelayMs": (0, 7 * DAY_MS),
    "timeoutMs": (1, DAY_MS),
}
QUEUE_KEYS = ("name", "endpoint", *RANGES)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ENDPOINT = re.compile(r"/(?!/)[!-~]*")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
FIELDS = {"concurrency": "concurrency", "retries": "retries"} | {
    "retryDelayMs": "retry_delay_ms",
    "timeoutMs": "timeout_ms",
}


def discover(folder: Path) -> list[Path]:
    """Return the catalog of a folder, else the catalogs one level below."""
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return [folder / name]
    below = (_first_of(child) for child in sorted(folder.iterdir()) if child.is_dir())
    return [path for path in below if path is not None]


def _first_of(folder: Path) -> Path | None:
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def load(
    paths: Sequence[Path],
    *,
    namespace: str | None = None,
    target: str | None = None,
    targets: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Catalog:
    """Return the services of all files.

    `namespace` and `target` are for one service alone; `targets` maps namespaces to URLs.
    Raises CatalogError with every finding.
    """
    reader = _Reader(target or (targets or {}).get(namespace or ""), namespace, targets or {}, environ)
    for path in paths:
        reader.read(path)
    return reader.finish()


def split_targets(given: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """Return the one URL and the URLs by namespace of `URL` and `NAMESPACE=URL`. Raises ValueError."""
    found = [_split(each) for each in given]
    targets = dict(found)
    if len(targets) != len(found) or (None in targets and len(targets) > 1):
        raise ValueError("expected one URL, or NAMESPACE=URL once for each namespace")
    single = targets.pop(None, None)
    return single, {name: url for name, url in targets.items() if name is not None}


def _split(given: str) -> tuple[str | None, str]:
    name, separator, url = given.partition("=")
    return (name, url) if separator and "://" not in name else (None, given)


def target_problem(url: str) -> str | None:
    """Return what is wrong with the base URL of a service, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "expected http://HOST[:PORT] or https://HOST[:PORT]"
    if parts.username is not None or parts.query or parts.fragment or not _is_plain(url):
        return "expected neither user, query, fragment, backslash nor spaces"
    return None


def _is_plain(url: str) -> bool:
    return all("!" <= character <= "~" and character != "\\" for character in url)


class _Reader:
    """Collect services and findings file by file."""

    def __init__(
        self,
        target: str | None,
        namespace: str | None,
        targets: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> None:
        self._target = target
        self._given_namespace = namespace
        self._namespace = namespace or environ.get("SERVICE_NAMESPACE") or None
        self._targets = targets
        self._file = ""
        self._findings: list[Finding] = []
        self._components: list[tuple[str, yaml.Node]] = []
        self._services: list[Service] = []
        self._names: dict[tuple[str, str], str] = {}

    def read(self, path: Path) -> None:
        """Read one file; services are made when all files are known."""
        self._file = safe(str(path))
        try:
            roots = yaml_nodes.compose(path.read_bytes())
            components = [root for root in roots if _text(get(root, "kind")) == "Component"]
        except OSError as error:
            self._find(1, 1, "unreadable", f"can't read the file: {error.strerror}")
        except BadYaml as error:
            self._find(error.line, error.column, error.code, safe(error.message))
        else:
            self._components += [(self._file, root) for root in components]

    def finish(self) -> Catalog:
        """Return the catalog, or raise CatalogError."""
        declaring = [root for _, root in self._components if get(get(root, "spec"), "queues") is not None]
        is_single = len(declaring or self._components) <= 1
        for file, root in self._components:
            self._file = file
            try:
                self._read_component(root, is_single and (root in declaring or not declaring))
            except BadYaml as error:
                self._find(error.line, error.column, error.code, error.message)
        self._check_options(is_single)
        found = tuple(sorted(self._findings, key=lambda each: (each.file, each.line, each.column)))
        if any(finding.is_error for finding in found):
            raise CatalogError(found)
        return Catalog(tuple(self._services), found)

    def _check_options(self, is_single: bool) -> None:
        self._file = "command line"
        if not is_single and (self._target or self._given_namespace):
            message = "several services are declared: give each its own with --target NAMESPACE=URL"
            self._find(1, 1, "ambiguous_option", message)
        known = [service.namespace for service in self._services]
        for name in self._targets:
            if name not in known:
                others = ", ".join(nearest(name, known)) or "none"
                self._find(1, 1, "unknown_namespace", f"no catalog declares {safe(name)!r}; known: {others}")
        for url in [self._target, *self._targets.values()]:
            if url is not None and (problem := target_problem(url)):
                self._find(1, 1, "wrong_target", f"{problem}, got {safe(url)!r}")

    def _read_component(self, root: yaml.Node, is_single: bool) -> None:
        spec, metadata = get(root, "spec"), get(root, "metadata")
        self._check_spec_keys(spec)
        nodes = get(spec, "queues")
        namespace = self._read_namespace(root, metadata, is_single, is_needed=nodes is not None)
        port = self._read_port(get(metadata, "annotations"))
        target = self._targets.get(namespace or "") or (self._target if is_single else None)
        queues = tuple(self._read_queues(namespace or "", nodes)) if nodes is not None else ()
        if namespace is None:
            return
        url = (target or f"http://localhost:{port}").rstrip("/")
        self._services.append(Service(namespace, url, self._file, queues))

    def _read_namespace(
        self, root: yaml.Node, metadata: yaml.Node | None, is_single: bool, *, is_needed: bool
    ) -> str | None:
        if is_single and self._namespace:
            return self._name_or_none(root, "the namespace", self._namespace)
        name = get(metadata, "name")
        if name is None:
            if is_needed:
                self._find_at(root, "missing_name", "expected metadata.name, got nothing")
            return None
        return self._name_or_none(name, "metadata.name", _text(name)) if is_needed or _text(name) else None

    def _name_or_none(self, node: yaml.Node, what: str, name: str | None) -> str | None:
        if name is not None and _NAME.fullmatch(name):
            return name
        message = f"expected {what} to be 1 to 128 of A-Z a-z 0-9 . _ -, got {_described(node)}"
        self._find_at(node, "wrong_name", message)
        return None

    def _read_port(self, annotations: yaml.Node | None) -> int:
        node = get(annotations, PORT_ANNOTATION)
        if node is None:
            return DEFAULT_PORT
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if _WHOLE.fullmatch(value) and 1 <= int(value) <= 65535:
            return int(value)
        self._find_at(
            node,
            "wrong_port",
            f"expected {PORT_ANNOTATION} to be a port from 1 to 65535, got {_described(node)}",
        )
        return DEFAULT_PORT

    def _check_spec_keys(self, spec: yaml.Node | None) -> None:
        known = {_text(pair.key) for pair in pairs(spec)}
        for pair in pairs(spec):
            key = _text(pair.key) or ""
            if "queues" not in known and nearest_typo(key, ("queues",)):
                self._find_at(pair.key, "unknown_key", f"did you mean queues? got {safe(key)!r}", is_error=False)

    def _read_queues(self, namespace: str, nodes: yaml.Node) -> list[Queue]:
        if not isinstance(nodes, yaml.SequenceNode):
            if not _is_null(nodes):
                self._find_at(nodes, "wrong_type", f"expected spec.queues to be a list, got {_described(nodes)}")
            return []
        read = (self._read_queue(namespace, node) for node in nodes.value)
        return [queue for queue in read if queue is not None]

    def _read_queue(self, namespace: str, node: yaml.Node) -> Queue | None:
        if not isinstance(node, yaml.MappingNode):
            self._find_at(node, "wrong_type", f"expected a queue to be a mapping, got {_described(node)}")
            return None
        self._check_queue_keys(node)
        numbers = {FIELDS[key]: self._read_number(node, key) for key in RANGES}
        name, endpoint = self._read_queue_name(namespace, node), self._read_endpoint(node)
        if name is None or endpoint is None:
            return None
        return Queue(namespace, name, endpoint, **{k: v for k, v in numbers.items() if v is not None})

    def _check_queue_keys(self, node: yaml.Node) -> None:
        for pair in pairs(node):
            key = _text(pair.key)
            if key not in QUEUE_KEYS:
                close = nearest_typo(key or "", QUEUE_KEYS)
                hint = f"did you mean {close}?" if close else f"known: {', '.join(QUEUE_KEYS)}"
                message = f"{hint} got {_described(pair.key)}, which is ignored"
                self._find_at(pair.key, "unknown_key", message, is_error=False)

    def _read_queue_name(self, namespace: str, node: yaml.Node) -> str | None:
        found = get(node, "name")
        if found is None:
            self._find_at(node, "missing_name", "expected the queue to have a name, got nothing")
            return None
        name = self._name_or_none(found, "name", _text(found))
        if name is None:
            return None
        here = f"{self._file}:{position(found)[0]}"
        first = self._names.setdefault((namespace, name.lower()), here)
        if first != here:
            self._find_at(found, "duplicate_queue", f"the queue {name!r} is declared at {first} too")
            return None
        return name

    def _read_endpoint(self, node: yaml.Node) -> str | None:
        found = get(node, "endpoint")
        if found is None:
            self._find_at(node, "missing_endpoint", "expected the queue to have an endpoint, got nothing")
            return None
        endpoint = _text(found)
        if endpoint and _ENDPOINT.fullmatch(endpoint) and not set(endpoint) & {"\\", "#"}:
            return endpoint
        message = f"expected endpoint to be a path on the service like /internal/jobs/x, got {_described(found)}"
        self._find_at(found, "wrong_endpoint", message)
        return None

    def _read_number(self, node: yaml.Node, key: str) -> int | None:
        found = get(node, key)
        if found is None:
            return None
        smallest, largest = RANGES[key]
        if _is_int(found) and smallest <= int(found.value) <= largest:
            return int(found.value)
        code = "out_of_range" if _is_int(found) else "wrong_type"
        expected = f"expected {key} to be a whole number from {smallest} to {largest}"
        self._find_at(found, code, f"{expected}, got {_described(found)}")
        return None

    def _find_at(self, node: yaml.Node, code: str, message: str, *, is_error: bool = True) -> None:
        self._find(*position(node), code, message, is_error=is_error)

    def _find(self, line: int, column: int, code: str, message: str, *, is_error: bool = True) -> None:
        self._findings.append(Finding(self._file, line, column, code, message, is_error))


def nearest_typo(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that `word` is probably meant to be, or None."""
    close = difflib.get_close_matches(word.lower(), [each.lower() for each in known], 1, 0.7)
    return next((each for each in known if close and each.lower() == close[0] and each != word), None)


def _text(node: yaml.Node | None) -> str | None:
    is_text = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
    return node.value if is_text and node is not None else None


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _is_int(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:int" and bool(_WHOLE.fullmatch(node.value))


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if _text(node) is not None:
        return f'the text "{safe(node.value, 60)}"'
    return safe(node.value, 60) or "nothing"
