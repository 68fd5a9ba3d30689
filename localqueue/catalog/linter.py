"""Find what is valid but most probably wrong: `localqueue check` shows it, a server starts without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from localqueue.catalog import yaml_nodes
from localqueue.catalog.field_reader import DECLARATIONS, declaration
from localqueue.catalog.findings import Findings
from localqueue.catalog.queue_fields import nearest_typo
from localqueue.catalog.yaml_nodes import BadYaml, get, pairs, text
from localqueue.core.models import Finding
from localqueue.core.text import safe

QUEUE_SERVICE = "iec-queue"
_METHOD = re.compile(r"(?:[A-Z]+ +)?(/\S*)")


def lint(paths: Sequence[Path]) -> list[Finding]:
    """Return warnings about catalog files; files that can't be read have none."""
    findings = Findings()
    for path in paths:
        findings.file = safe(str(path))
        try:
            for root in yaml_nodes.compose(path.read_bytes()):
                _lint(root, findings)
        except (OSError, BadYaml):
            continue
    return findings.all


def _lint(root: yaml.Node, findings: Findings) -> None:
    kind = get(root, "kind")
    if text(kind) != "Component":
        _check_kind(root, kind, findings)
        return
    _check_places(root, findings)
    spec = get(root, "spec")
    _check_dependency(spec, findings)
    _check_routes(spec, findings)


def _check_kind(root: yaml.Node, kind: yaml.Node | None, findings: Findings) -> None:
    """Report a mistyped kind: the document would be ignored without a word."""
    declared = declaration(root)
    if kind is None and declared is not None:
        message = "the document is ignored: it has no kind; queues and schedules belong to kind: Component"
        findings.at(root, "missing_kind", message, is_error=False)
    elif kind is not None and (nearest_typo(text(kind) or "", ("Component",)) or declared is not None):
        message = f'kind "{safe(text(kind) or "")}" is ignored; queues and schedules belong to kind: Component'
        findings.at(kind, "wrong_kind", message, is_error=False)


def _check_places(root: yaml.Node, findings: Findings) -> None:
    """Report queues and schedules that aren't directly under spec."""
    spec = get(root, "spec")
    others = [("the top level", root), ("metadata", get(root, "metadata"))]
    others += [
        (f"spec.{text(pair.key)}", pair.value) for pair in pairs(spec) if isinstance(pair.value, yaml.MappingNode)
    ]
    for place, node in others:
        for name in DECLARATIONS:
            if (misplaced := get(node, name)) is not None:
                message = f"{name} under {place} are ignored; move them to spec.{name}"
                findings.at(misplaced, f"misplaced_{name}", message, is_error=False)


def _check_dependency(spec: yaml.Node | None, findings: Findings) -> None:
    """Report queues without the dependency by which the platform sets IEC_QUEUE_URL."""
    queues = get(spec, "queues")
    if not isinstance(queues, yaml.SequenceNode) or not queues.value:
        return
    names = _dependencies(get(spec, "internalDependencies"))
    if QUEUE_SERVICE not in names:
        close = nearest_typo(QUEUE_SERVICE, names)
        hint = f' (did you mean "{QUEUE_SERVICE}" instead of "{safe(close)}"?)' if close else ""
        message = (
            f"queues are declared, but spec.internalDependencies doesn't name {QUEUE_SERVICE}{hint}: "
            "in production, IEC_QUEUE_URL won't be set"
        )
        findings.at(queues, "missing_dependency", message, is_error=False)


def _dependencies(node: yaml.Node | None) -> list[str]:
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    names = [text(item) or text(get(item, "service")) or text(get(item, "name")) for item in items]
    return [name for name in names if name is not None]


def _check_routes(spec: yaml.Node | None, findings: Findings) -> None:
    """Report endpoints that the gateway makes public."""
    routes = [(route, _pattern(route)) for node in _scalars(get(spec, "routes")) if (route := _path(node))]
    for name in DECLARATIONS:
        items = get(spec, name)
        for item in items.value if isinstance(items, yaml.SequenceNode) else []:
            node = get(item, "endpoint")
            endpoint = (text(node) or "").partition("?")[0]
            public = next((route for route, pattern in routes if endpoint and pattern.fullmatch(endpoint)), None)
            if node is not None and public is not None:
                message = (
                    f'endpoint "{safe(endpoint)}" is also the route "{safe(public)}" under spec.routes: the gateway '
                    "makes it public, and anyone could send jobs to the handler"
                )
                findings.at(node, "public_endpoint", message, is_error=False)


def _path(node: yaml.ScalarNode) -> str | None:
    match = _METHOD.fullmatch(node.value.strip())
    return match[1] if match else None


def _pattern(route: str) -> re.Pattern[str]:
    """Return a pattern of the paths that a route matches: `:id` and `{id}` are one segment, `*` is the rest."""
    parts = re.split(r"(\*+|:[A-Za-z_]\w*|\{[^/{}]*\})", route.rstrip("/") or "/")
    return re.compile("".join(_part(part) for part in parts) + "/?")


def _part(part: str) -> str:
    if part.startswith("*"):
        return ".*"
    return "[^/]+" if part[:1] in (":", "{") else re.escape(part)


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif node is not None:
        for pair in pairs(node):
            yield from _scalars(pair.key)
            yield from _scalars(pair.value)
