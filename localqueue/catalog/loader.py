"""Read catalog files into services and queues, and report every problem at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from localqueue.catalog import lint, queue_fields, yaml_nodes
from localqueue.catalog.queue_fields import nearest_typo
from localqueue.catalog.targets import target_problem
from localqueue.catalog.yaml_nodes import BadYaml, get, pairs, position
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding, Queue, QueueKey, Service
from localqueue.core.text import nearest, safe

DEFAULT_PORT = 3000
PORT_ANNOTATION = "insureco.io/port"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")


def load(
    paths: Sequence[Path],
    *,
    namespace: str | None = None,
    target: str | None = None,
    targets: Mapping[str, str] | None = None,
) -> Catalog:
    """Return the services of all files.

    `namespace` and `target` are for a single service; `targets` maps namespaces to URLs.
    Raises CatalogError with every finding.
    """
    loader = _Loader(target or (targets or {}).get(namespace or ""), namespace, targets or {})
    for path in paths:
        loader.read(path)
    return loader.finish()


class _Loader:
    """The services and findings collected so far."""

    def __init__(self, target: str | None, namespace: str | None, targets: Mapping[str, str]) -> None:
        self._target = target
        self._namespace = namespace
        self._targets = targets
        self._file = ""
        self._findings: list[Finding] = []
        self._components: list[tuple[str, yaml.Node]] = []
        self._services: list[Service] = []
        self._names: dict[QueueKey, str] = {}

    def read(self, path: Path) -> None:
        """Read one file; its services follow when all files are known."""
        self._file = safe(str(path))
        try:
            roots = yaml_nodes.compose(path.read_bytes())
            components = [root for root in roots if _text(get(root, "kind")) == "Component"]
        except OSError as error:
            self._find(0, 0, "unreadable", f"can't be read: {(error.strerror or str(error)).lower()}")
        except BadYaml as error:
            self._find(error.line, error.column, error.code, safe(error.message))
        else:
            self._components += [(self._file, root) for root in components]

    def finish(self) -> Catalog:
        """Return the catalog. Raises CatalogError."""
        declaring = [root for _, root in self._components if get(get(root, "spec"), "queues") is not None]
        is_single = len(declaring or self._components) <= 1
        for file, root in self._components:
            self._file = file
            try:
                self._read_component(root, is_single and (root in declaring or not declaring))
            except BadYaml as error:
                self._find(error.line, error.column, error.code, error.message)
        self._check_options(is_single)
        if not any(finding.is_error for finding in self._findings):
            self._findings += lint.check_services(self._services)
        findings = tuple(sorted(self._findings, key=lambda finding: (finding.file, finding.line, finding.column)))
        if any(finding.is_error for finding in findings):
            raise CatalogError(findings)
        return Catalog(tuple(self._services), findings)

    # options

    def _check_options(self, is_single: bool) -> None:
        if not is_single and self._target:
            self._find_option("target", "there are several services; use --target NAMESPACE=URL for each")
        if not is_single and self._namespace:
            self._find_option("namespace", "there are several services; --namespace works with one only")
        known = [service.namespace for service in self._services]
        for name in self._targets:
            if name not in known:
                others = ", ".join(nearest(name, known)) or "none"
                self._find_option("target", f"no catalog declares {safe(name)!r}; declared: {others}")
        for url in [self._target, *self._targets.values()]:
            if url is not None and (problem := target_problem(url)):
                self._find_option("target", f"{safe(url)!r} {problem}")

    def _find_option(self, option: str, message: str) -> None:
        self._findings.append(Finding(f"--{option}", 0, 0, f"wrong_{option}", message))

    # services

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
            if queue_fields.is_name(self._namespace):
                return self._namespace
            self._find_option("namespace", f"must be {queue_fields.NAME_RULE}, not {safe(self._namespace)!r}")
            return None
        name = get(metadata, "name")
        if name is None:
            if is_needed:
                self._find_at(root, "missing_name", "metadata.name is missing")
            return None
        return self._read_name(name, "metadata.name") if is_needed or _text(name) else None

    def _read_name(self, node: yaml.Node, field: str) -> str | None:
        name = _text(node)
        if name is not None and queue_fields.is_name(name):
            return name
        self._find_at(node, "wrong_name", f"{field} must be {queue_fields.NAME_RULE}, not {_described(node)}")
        return None

    def _read_port(self, annotations: yaml.Node | None) -> int:
        node = get(annotations, PORT_ANNOTATION)
        if node is None:
            return DEFAULT_PORT
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if _WHOLE.fullmatch(value) and 1 <= int(value) <= 65535:
            return int(value)
        message = f"{PORT_ANNOTATION} must be a port from 1 to 65535, not {_described(node)}"
        self._find_at(node, "wrong_port", message)
        return DEFAULT_PORT

    def _check_spec_keys(self, spec: yaml.Node | None) -> None:
        keys = {_text(pair.key) for pair in pairs(spec)}
        for pair in pairs(spec):
            key = _text(pair.key) or ""
            if "queues" not in keys and nearest_typo(key, ("queues",)):
                message = f'unknown key "{safe(key)}" (ignored); did you mean "queues"?'
                self._find_at(pair.key, "unknown_key", message, is_error=False)

    # queues

    def _read_queues(self, namespace: str, nodes: yaml.Node) -> list[Queue]:
        if not isinstance(nodes, yaml.SequenceNode):
            if not _is_null(nodes):
                self._find_at(nodes, "wrong_type", f"spec.queues must be a list, not {_described(nodes)}")
            return []
        queues = (self._read_queue(namespace, node) for node in nodes.value)
        return [queue for queue in queues if queue is not None]

    def _read_queue(self, namespace: str, node: yaml.Node) -> Queue | None:
        if not isinstance(node, yaml.MappingNode):
            self._find_at(node, "wrong_type", f"a queue must be a mapping, not {_described(node)}")
            return None
        self._check_queue_keys(node)
        numbers = {attribute: self._read_number(node, key) for key, attribute in queue_fields.ATTRIBUTES.items()}
        name, endpoint = self._read_queue_name(namespace, node), self._read_endpoint(node)
        if name is None or endpoint is None:
            return None
        settings = {key: value for key, value in numbers.items() if value is not None}
        return Queue(namespace, name, endpoint, **settings, place=f"{self._file}:{node.start_mark.line + 1}")

    def _check_queue_keys(self, node: yaml.Node) -> None:
        for pair in pairs(node):
            key = _text(pair.key)
            if key not in queue_fields.QUEUE_KEYS:
                close = nearest_typo(key or "", queue_fields.QUEUE_KEYS)
                hint = f'did you mean "{close}"?' if close else f"known keys: {', '.join(queue_fields.QUEUE_KEYS)}"
                message = f"unknown key {_described(pair.key)} (ignored); {hint}"
                self._find_at(pair.key, "unknown_key", message, is_error=False)

    def _read_queue_name(self, namespace: str, node: yaml.Node) -> str | None:
        name_node = get(node, "name")
        if name_node is None:
            self._find_at(node, "missing_name", "the name of this queue is missing")
            return None
        name = self._read_name(name_node, "name")
        if name is None:
            return None
        here = f"{self._file}:{position(name_node)[0]}"
        first = self._names.setdefault((namespace, name.lower()), here)
        if first != here:
            self._find_at(name_node, "duplicate_queue", f'queue "{name}" is already declared at {first}')
            return None
        return name

    def _read_endpoint(self, node: yaml.Node) -> str | None:
        endpoint_node = get(node, "endpoint")
        if endpoint_node is None:
            self._find_at(node, "missing_endpoint", "the endpoint of this queue is missing")
            return None
        endpoint = _text(endpoint_node)
        if endpoint and queue_fields.is_endpoint(endpoint):
            return endpoint
        message = f"endpoint must be {queue_fields.ENDPOINT_RULE}, not {_described(endpoint_node)}"
        self._find_at(endpoint_node, "wrong_endpoint", message)
        return None

    def _read_number(self, node: yaml.Node, key: str) -> int | None:
        number = get(node, key)
        if number is None:
            return None
        smallest, largest = queue_fields.RANGES[key]
        if _is_int(number) and smallest <= int(number.value) <= largest:
            return int(number.value)
        code = "out_of_range" if _is_int(number) else "wrong_type"
        self._find_at(number, code, f"{queue_fields.range_rule(key)}, not {_described(number)}")
        return None

    # findings

    def _find_at(self, node: yaml.Node, code: str, message: str, *, is_error: bool = True) -> None:
        self._find(*position(node), code, message, is_error=is_error)

    def _find(self, line: int, column: int, code: str, message: str, *, is_error: bool = True) -> None:
        self._findings.append(Finding(self._file, line, column, code, message, is_error))


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
        return f'"{safe(node.value, 60)}"'
    return safe(node.value, 60) or "empty"
