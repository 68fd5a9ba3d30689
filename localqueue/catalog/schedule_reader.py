"""Read spec.schedules."""

from __future__ import annotations

import yaml

from localqueue.catalog import cron, field_reader
from localqueue.catalog.field_reader import FieldReader
from localqueue.catalog.findings import Findings
from localqueue.catalog.yaml_nodes import described, get, text
from localqueue.core.models import Schedule

KEYS = ("name", "cron", "endpoint", "timezone", "timeoutMs", "description")


def read(findings: Findings, namespace: str, nodes: yaml.Node, declared: dict[tuple[str, str], str]) -> list[Schedule]:
    """Return the schedules of a service; `declared` has the places of the names so far."""
    schedules = (_read(findings, namespace, node, declared) for node in field_reader.items(findings, nodes, "schedule"))
    return [schedule for schedule in schedules if schedule is not None]


def _read(
    findings: Findings, namespace: str, node: yaml.MappingNode, declared: dict[tuple[str, str], str]
) -> Schedule | None:
    fields = FieldReader(findings, node, "schedule")
    fields.check_keys(KEYS)
    name, endpoint = fields.unique_name(namespace, declared), fields.endpoint()
    expression, timezone = _cron(findings, fields), _timezone(findings, node)
    timeout, description = fields.numbers({"timeoutMs": "timeout_ms"}), fields.text("description", "")
    if name is None or endpoint is None or expression is None or timezone is None:
        return None
    return Schedule(
        namespace, name, expression, endpoint, timezone, **timeout, description=description, place=fields.place
    )


def _cron(findings: Findings, fields: FieldReader) -> str | None:
    node = fields.required("cron")
    if node is None:
        return None
    expression = text(node)
    problem = cron.problem(expression) if expression is not None else "must be a string in quotes"
    if problem is None:
        return expression
    shorter = cron.without_seconds(expression or "")
    hint = f'; without seconds: "{shorter}"' if shorter else ""
    findings.at(node, "wrong_cron", f"cron {problem}, not {described(node)}{hint}")
    return None


def _timezone(findings: Findings, node: yaml.MappingNode) -> str | None:
    zone = get(node, "timezone")
    if zone is None:
        return "UTC"
    name = text(zone)
    if name is not None and cron.is_timezone(name):
        return name
    near = " or ".join(cron.nearest_timezones(name or "", 2))
    findings.at(zone, "wrong_timezone", f"timezone must be an IANA name, not {described(zone)}; did you mean {near}?")
    return None
