"""Know the queues in force: the catalog, what a test has changed on top of it, and what is paused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

from localqueue.catalog import loader
from localqueue.core.errors import InvalidRequest, NotFound
from localqueue.core.models import Catalog, Queue, QueueKey, Service
from localqueue.core.text import nearest, safe

EXPORT_HINT = "Is SERVICE_NAMESPACE set for your service? `localqueue up` prints the line to export."


class ActiveCatalog:
    """Hold the catalog as it was declared, and as it is in force."""

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
        """Follow an edited catalog; changes stay where they fit it."""
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

    def reset(self) -> None:
        """Forget every change and every pause."""
        self._settings, self._targets, self._paused = {}, {}, set()
        self._apply()

    def change_queue(self, namespace: str, name: str, given: Mapping[str, Any]) -> Queue:
        """Change settings of a queue, given under the catalog's names. Raises NotFound, InvalidRequest."""
        key = self.find(namespace, name).key
        self._settings[key] = self._settings.get(key, {}) | _read_settings(given)
        self._apply()
        return self.queues[key]

    def change_target(self, namespace: str, url: str) -> None:
        """Change where a service listens. Raises NotFound (unknown_namespace)."""
        if namespace not in self.targets:
            raise _unknown("namespace", namespace, self.targets, EXPORT_HINT)
        self._targets[namespace] = url.rstrip("/")
        self._apply()

    def find(self, namespace: str, name: str) -> Queue:
        """Return a queue. Raises NotFound (unknown_namespace, unknown_queue)."""
        found = self.queues.get((namespace, name))
        if found is not None:
            return found
        if namespace not in self.targets:
            raise _unknown("namespace", namespace, self.targets, EXPORT_HINT)
        names = [key[1] for key in self.queues if key[0] == namespace]
        raise _unknown("queue", name, names, f"Declare it under spec.queues in the catalog of {namespace}.")

    def check_known(self, namespace: str | None, name: str | None, others: Iterable[QueueKey]) -> None:
        """Make sure that a queue is declared or among `others`. Raises NotFound (unknown_namespace, unknown_queue)."""
        keys = {*self.queues, *others}
        namespaces = {key[0] for key in keys} | set(self.targets)
        if namespace is not None and namespace not in namespaces:
            raise _unknown("namespace", namespace, namespaces, EXPORT_HINT)
        names = {key[1] for key in keys if namespace in (None, key[0])}
        if name is not None and name not in names:
            raise _unknown("queue", name, names, "`localqueue queues` lists them.")


def _unknown(what: str, name: str, known: Iterable[str], hint: str) -> NotFound:
    others = ", ".join(nearest(name, known)) or "none"
    return NotFound(f"unknown {what} {safe(name)!r}; known: {others}", hint, code=f"unknown_{what}")


def _read_settings(given: Mapping[str, Any]) -> dict[str, int]:
    return {loader.FIELDS[_known(name)]: _checked(name, value) for name, value in given.items()}


def _known(name: str) -> str:
    if name not in loader.RANGES:
        raise InvalidRequest(f"unknown setting {safe(name)!r}; known: {', '.join(nearest(name, loader.RANGES))}")
    return name


def _checked(name: str, value: Any) -> int:
    smallest, largest = loader.RANGES[name]
    if type(value) is int and smallest <= value <= largest:
        return value
    expected = f"expected {name} to be a whole number from {smallest} to {largest}"
    raise InvalidRequest(f"{expected}, got {safe(str(value), 60)}")
