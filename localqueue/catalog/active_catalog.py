"""The queues in force: the catalog, the changes on top of it until the next reset, and the pauses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

from localqueue.catalog import queue_fields
from localqueue.core.errors import InvalidRequest, NotFound
from localqueue.core.models import Catalog, Queue, QueueKey, Service
from localqueue.core.numbers import as_int
from localqueue.core.text import cut, nearest, safe

MAX_NAME = 128
"""Longer names can't be declared, so they are refused before anything is compared with them."""


class ActiveCatalog:
    """The declared catalog and the one in force."""

    def __init__(self, declared: Catalog) -> None:
        self._declared = declared
        self._settings: dict[QueueKey, dict[str, Any]] = {}
        self._targets: dict[str, str] = {}
        self._paused: set[QueueKey] = set()
        self._apply()

    def _apply(self) -> None:
        self.catalog = replace(self._declared, services=tuple(map(self._changed, self._declared.services)))
        self.queues = self.catalog.queues
        self.targets = self.catalog.targets

    def _changed(self, service: Service) -> Service:
        queues = tuple(replace(queue, **self._settings.get(queue.key, {})) for queue in service.queues)
        return replace(service, queues=queues, target=self._targets.get(service.namespace, service.target))

    def declare(self, declared: Catalog) -> None:
        """Apply an edited catalog; changes stay as far as they fit it."""
        self._declared = declared
        self._apply()

    @property
    def paused(self) -> Set[QueueKey]:
        """Return the queues that are paused."""
        return self._paused

    def pause(self, key: QueueKey, is_paused: bool) -> None:
        """Pause a queue, or resume it."""
        (self._paused.add if is_paused else self._paused.discard)(key)

    def restore_pauses(self, keys: Set[QueueKey]) -> None:
        """Pause the queues that an earlier run had paused."""
        self._paused = set(keys)

    @property
    def changes(self) -> Mapping[QueueKey, Mapping[str, Any]]:
        """Return what the catalog says of every setting that was changed, and of a changed `target`, by queue."""
        changes: dict[QueueKey, dict[str, Any]] = {}
        for service in self._declared.services:
            target = {"target": service.target} if service.namespace in self._targets else {}
            for queue in service.queues:
                settings = self._settings.get(queue.key, {})
                declared = {
                    name: getattr(queue, attribute)
                    for name, attribute in queue_fields.ATTRIBUTES.items()
                    if attribute in settings
                }
                if declared or target:
                    changes[queue.key] = declared | target
        return changes

    def reset(self) -> None:
        """Forget every change and every pause."""
        self._settings, self._targets, self._paused = {}, {}, set()
        self._apply()

    def change_queue(self, namespace: str, name: str, settings: Mapping[str, Any]) -> Queue:
        """Change settings of a queue, under the catalog's names; None restores the catalog's value.

        Raises NotFound, InvalidRequest.
        """
        key = self.find(namespace, name).key
        changed = self._settings.get(key, {}) | _read_settings(settings)
        self._settings[key] = {name: value for name, value in changed.items() if value is not None}
        self._apply()
        return self.queues[key]

    def change_target(self, namespace: str, url: str | None) -> str:
        """Change the base URL of a service, and return it; None restores the first one.

        Raises NotFound (unknown_namespace).
        """
        if namespace not in self.targets:
            raise _unknown_namespace(namespace, self.targets)
        if url is None:
            self._targets.pop(namespace, None)
        else:
            self._targets[namespace] = url.rstrip("/")
        self._apply()
        return self.targets[namespace]

    def find(self, namespace: str, name: str) -> Queue:
        """Return a queue. Raises NotFound (unknown_namespace, unknown_queue)."""
        queue = self.queues.get((namespace, name))
        if queue is not None:
            return queue
        if namespace not in self.targets:
            raise _unknown_namespace(namespace, self.targets)
        names = [key[1] for key in self.queues if key[0] == namespace]
        raise _unknown("queue", name, names, self._unknown_queue_hint(namespace, name))

    def _unknown_queue_hint(self, namespace: str, name: str) -> str:
        owners = [key[0] for key in self.queues if key[1] == name]
        if owners:
            return f"{owners[0]} has a queue of this name. To enqueue there, send the namespace {owners[0]}."
        service = next(service for service in self.catalog.services if service.namespace == namespace)
        return f"To add a queue, declare it under spec.queues in {service.path}."

    def check_known(self, namespace: str | None, name: str | None, others: Iterable[QueueKey]) -> None:
        """Check that a queue is declared or among `others`. Raises NotFound (unknown_namespace, unknown_queue)."""
        keys = {*self.queues, *others}
        namespaces = {key[0] for key in keys} | set(self.targets)
        if namespace is not None and namespace not in namespaces:
            raise _unknown_namespace(namespace, namespaces)
        names = {key[1] for key in keys if namespace in (None, key[0])}
        if name is not None and name not in names:
            raise _unknown("queue", name, names, "To list the queues: localqueue queues")


def _unknown_namespace(name: str, known: Iterable[str]) -> NotFound:
    ordered = nearest(cut(name, MAX_NAME), known)
    hint = f"Is SERVICE_NAMESPACE set for your service? export SERVICE_NAMESPACE={ordered[0]}" if ordered else ""
    return _unknown("namespace", name, known, hint)


def _unknown(noun: str, name: str, known: Iterable[str], hint: str) -> NotFound:
    others = ", ".join(nearest(cut(name, MAX_NAME), known)[:20]) or "none"
    return NotFound(f"unknown {noun} {safe(name)!r}; declared: {others}", hint, code=f"unknown_{noun}")


def _read_settings(settings: Mapping[str, Any]) -> dict[str, int | None]:
    return {
        queue_fields.ATTRIBUTES[_known(name)]: None if value is None else _checked(name, value)
        for name, value in settings.items()
    }


def _known(name: str) -> str:
    if name not in queue_fields.RANGES:
        known = ", ".join(nearest(name, queue_fields.RANGES))
        raise InvalidRequest(f"unknown setting {safe(name)!r}; settings: {known}")
    return name


def _checked(name: str, value: Any) -> int:
    smallest, largest = queue_fields.RANGES[name]
    number = as_int(value)
    if number is not None and smallest <= number <= largest:
        return number
    raise InvalidRequest(f"{queue_fields.range_rule(name)}, not {safe(repr(value), 60)}")
