"""Read the fields that queues and schedules have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from localqueue.catalog import queue_fields
from localqueue.catalog.findings import Findings
from localqueue.catalog.queue_fields import nearest_typo
from localqueue.catalog.yaml_nodes import described, get, is_int, is_null, pairs, position, text

DECLARATIONS = ("queues", "schedules")
"""What a component can declare under spec."""


def declaration(root: yaml.Node) -> yaml.Node | None:
    """Return what a component declares first, or None if it declares nothing."""
    spec = get(root, "spec")
    return next((node for name in DECLARATIONS if (node := get(spec, name)) is not None), None)


def items(findings: Findings, node: yaml.Node, noun: str) -> list[yaml.MappingNode]:
    """Return the mappings of a list such as spec.queues; `noun` names one of them."""
    if not isinstance(node, yaml.SequenceNode):
        if not is_null(node):
            findings.at(node, "wrong_type", f"spec.{noun}s must be a list, not {described(node)}")
        return []
    mappings = []
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            mappings.append(item)
        else:
            findings.at(item, "wrong_type", f"a {noun} must be a mapping, not {described(item)}")
    return mappings


def name(findings: Findings, node: yaml.Node, field: str) -> str | None:
    """Return the name that a node has, or None with a finding."""
    value = text(node)
    if value is not None and queue_fields.is_name(value):
        return value
    findings.at(node, "wrong_name", f"{field} must be {queue_fields.NAME_RULE}, not {described(node)}")
    return None


class FieldReader:
    """The fields of one queue or schedule; what is wrong or missing becomes a finding, and None."""

    def __init__(self, findings: Findings, node: yaml.MappingNode, noun: str) -> None:
        self._findings = findings
        self._node = node
        self._noun = noun

    @property
    def place(self) -> str:
        """Return the file and the line."""
        return f"{self._findings.file}:{position(self._node)[0]}"

    def check_keys(self, known: Sequence[str]) -> None:
        """Report unknown keys as warnings."""
        for pair in pairs(self._node):
            key = text(pair.key)
            if key not in known:
                close = nearest_typo(key or "", known)
                hint = f'did you mean "{close}"?' if close else f"known keys: {', '.join(known)}"
                message = f"unknown key {described(pair.key)} (ignored); {hint}"
                self._findings.at(pair.key, "unknown_key", message, is_error=False)

    def required(self, key: str) -> yaml.Node | None:
        """Return the node of a field that must be there."""
        node = get(self._node, key)
        if node is None:
            self._findings.at(self._node, f"missing_{key}", f"the {key} of this {self._noun} is missing")
        return node

    def unique_name(self, namespace: str, declared: dict[tuple[str, str], str]) -> str | None:
        """Return the name; `declared` has the places of the names so far, without regard to case."""
        node = self.required("name")
        item_name = name(self._findings, node, "name") if node is not None else None
        if node is None or item_name is None:
            return None
        here = f"{self._findings.file}:{position(node)[0]}"
        first = declared.setdefault((namespace, item_name.lower()), here)
        if first != here:
            message = f'{self._noun} "{item_name}" is already declared at {first}'
            self._findings.at(node, f"duplicate_{self._noun}", message)
            return None
        return item_name

    def endpoint(self) -> str | None:
        """Return the endpoint, a path on the service."""
        node = self.required("endpoint")
        if node is None:
            return None
        path = text(node)
        if path and queue_fields.is_endpoint(path):
            return path
        message = f"endpoint must be {queue_fields.ENDPOINT_RULE}, not {described(node)}"
        self._findings.at(node, "wrong_endpoint", message)
        return None

    def number(self, key: str) -> int | None:
        """Return an optional number within its range."""
        node = get(self._node, key)
        if node is None:
            return None
        smallest, largest = queue_fields.RANGES[key]
        if is_int(node) and smallest <= int(node.value) <= largest:
            return int(node.value)
        code = "out_of_range" if is_int(node) else "wrong_type"
        self._findings.at(node, code, f"{queue_fields.range_rule(key)}, not {described(node)}")
        return None

    def numbers(self, attributes: Mapping[str, str]) -> dict[str, int]:
        """Return the numbers that are given, by attribute."""
        numbers = {attribute: self.number(key) for key, attribute in attributes.items()}
        return {attribute: value for attribute, value in numbers.items() if value is not None}

    def text(self, key: str, fallback: str) -> str:
        """Return an optional text."""
        node = get(self._node, key)
        if node is None or (value := text(node)) is not None:
            return fallback if node is None else str(value)
        self._findings.at(node, "wrong_type", f"{key} must be a string, not {described(node)}")
        return fallback
