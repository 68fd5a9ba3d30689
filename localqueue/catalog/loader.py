"""Read catalog files into services with queues and schedules, and report every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from localqueue.catalog import field_reader, queue_fields, schedule_reader, service_checks, yaml_nodes
from localqueue.catalog.field_reader import DECLARATIONS, FieldReader
from localqueue.catalog.findings import Findings
from localqueue.catalog.queue_fields import nearest_typo
from localqueue.catalog.targets import target_problem
from localqueue.catalog.yaml_nodes import WHOLE, BadYaml, described, get, pairs, text
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Queue, QueueKey, Schedule, Service
from localqueue.core.text import nearest, safe

DEFAULT_PORT = 3000
PORT_ANNOTATION = "insureco.io/port"


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
        self._findings = Findings()
        self._components: list[tuple[str, yaml.Node]] = []
        self._services: list[Service] = []
        self._queue_places: dict[QueueKey, str] = {}
        self._schedule_places: dict[QueueKey, str] = {}

    def read(self, path: Path) -> None:
        """Read one file; its services follow when all files are known."""
        self._findings.file = safe(str(path))
        try:
            roots = yaml_nodes.compose(path.read_bytes())
            components = [root for root in roots if text(get(root, "kind")) == "Component"]
        except OSError as error:
            self._findings.add(0, 0, "unreadable", f"can't be read: {(error.strerror or str(error)).lower()}")
        except BadYaml as error:
            self._findings.add(error.line, error.column, error.code, safe(error.message))
        else:
            self._components += [(self._findings.file, root) for root in components]

    def finish(self) -> Catalog:
        """Return the catalog. Raises CatalogError."""
        declaring = [root for _, root in self._components if field_reader.declaration(root) is not None]
        is_single = len(declaring or self._components) <= 1
        for file, root in self._components:
            self._findings.file = file
            try:
                self._read_component(root, is_single and (root in declaring or not declaring))
            except BadYaml as error:
                self._findings.add(error.line, error.column, error.code, error.message)
        self._check_options(is_single)
        if not self._findings.has_errors:
            self._findings.all += service_checks.check_services(self._services)
        findings = tuple(sorted(self._findings.all, key=lambda finding: (finding.file, finding.line, finding.column)))
        if self._findings.has_errors:
            raise CatalogError(findings)
        return Catalog(tuple(self._services), findings)

    # options

    def _check_options(self, is_single: bool) -> None:
        if not is_single and self._target:
            self._findings.add_option("target", "there are several services; use --target NAMESPACE=URL for each")
        if not is_single and self._namespace:
            self._findings.add_option("namespace", "there are several services; --namespace works with one only")
        known = [service.namespace for service in self._services]
        for name in self._targets:
            if name not in known:
                others = ", ".join(nearest(name, known)) or "none"
                self._findings.add_option("target", f"no catalog declares {safe(name)!r}; declared: {others}")
        for url in [self._target, *self._targets.values()]:
            if url is not None and (problem := target_problem(url)):
                self._findings.add_option("target", f"{safe(url)!r} {problem}")

    # services

    def _read_component(self, root: yaml.Node, is_single: bool) -> None:
        spec, metadata = get(root, "spec"), get(root, "metadata")
        self._check_spec_keys(spec)
        namespace = self._read_namespace(
            root, metadata, is_single, is_needed=field_reader.declaration(root) is not None
        )
        port = self._read_port(get(metadata, "annotations"))
        target = self._targets.get(namespace or "") or (self._target if is_single else None)
        queues = self._read_queues(namespace or "", get(spec, "queues"))
        schedules = self._read_schedules(namespace or "", get(spec, "schedules"))
        if namespace is None:
            return
        url = (target or f"http://localhost:{port}").rstrip("/")
        self._services.append(Service(namespace, url, self._findings.file, tuple(queues), tuple(schedules)))

    def _read_namespace(
        self, root: yaml.Node, metadata: yaml.Node | None, is_single: bool, *, is_needed: bool
    ) -> str | None:
        if is_single and self._namespace:
            if queue_fields.is_name(self._namespace):
                return self._namespace
            self._findings.add_option("namespace", f"must be {queue_fields.NAME_RULE}, not {safe(self._namespace)!r}")
            return None
        name = get(metadata, "name")
        if name is None:
            if is_needed:
                self._findings.at(root, "missing_name", "metadata.name is missing")
            return None
        return field_reader.name(self._findings, name, "metadata.name") if is_needed or text(name) else None

    def _read_port(self, annotations: yaml.Node | None) -> int:
        node = get(annotations, PORT_ANNOTATION)
        if node is None:
            return DEFAULT_PORT
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if WHOLE.fullmatch(value) and 1 <= int(value) <= 65535:
            return int(value)
        message = f"{PORT_ANNOTATION} must be a port from 1 to 65535, not {described(node)}"
        self._findings.at(node, "wrong_port", message)
        return DEFAULT_PORT

    def _check_spec_keys(self, spec: yaml.Node | None) -> None:
        keys = {text(pair.key) for pair in pairs(spec)}
        for pair in pairs(spec):
            key = text(pair.key) or ""
            meant = nearest_typo(key, [name for name in DECLARATIONS if name not in keys])
            if meant:
                message = f'unknown key "{safe(key)}" (ignored); did you mean "{meant}"?'
                self._findings.at(pair.key, "unknown_key", message, is_error=False)

    def _read_queues(self, namespace: str, nodes: yaml.Node | None) -> list[Queue]:
        items = [] if nodes is None else field_reader.items(self._findings, nodes, "queue")
        queues = (self._read_queue(namespace, node) for node in items)
        return [queue for queue in queues if queue is not None]

    def _read_queue(self, namespace: str, node: yaml.MappingNode) -> Queue | None:
        fields = FieldReader(self._findings, node, "queue")
        fields.check_keys(queue_fields.QUEUE_KEYS)
        numbers = fields.numbers(queue_fields.ATTRIBUTES)
        name, endpoint = fields.unique_name(namespace, self._queue_places), fields.endpoint()
        if name is None or endpoint is None:
            return None
        return Queue(namespace, name, endpoint, **numbers, place=fields.place)

    def _read_schedules(self, namespace: str, nodes: yaml.Node | None) -> list[Schedule]:
        return [] if nodes is None else schedule_reader.read(self._findings, namespace, nodes, self._schedule_places)
