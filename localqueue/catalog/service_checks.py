"""Findings about several services together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from localqueue.core.addresses import is_this_machine, split_url
from localqueue.core.models import Finding, Service


def check_services(services: Sequence[Service]) -> Iterator[Finding]:
    """Yield the findings about services that don't go together."""
    yield from shared_targets(services)


def shared_targets(services: Iterable[Service]) -> Iterator[Finding]:
    """Yield a warning for each service whose target another service has: one would get the other's jobs."""
    first_at: dict[tuple[str, str, int], Service] = {}
    for service in services:
        if not service.queues:
            continue
        first = first_at.setdefault(_place(service.target), service)
        if first is not service:
            message = (
                f"{service.namespace} and {first.namespace} have the same target {service.target}, so one would get "
                f"the other's jobs; set insureco.io/port, or use --target {service.namespace}=URL"
            )
            yield Finding(service.path, 0, 0, "shared_target", message, is_error=False)


def _place(target: str) -> tuple[str, str, int]:
    scheme, host, port = split_url(target)
    return scheme, "localhost" if is_this_machine(host) else host.lower(), port
