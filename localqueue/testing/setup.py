"""Prepare the catalog and the settings of a LocalQueue from what a test gives."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from localqueue.catalog import discovery, targets
from localqueue.core.errors import ClientError
from localqueue.core.settings import OPTIONS, Option, Settings
from localqueue.core.text import nearest
from localqueue.testing.arguments import to_time

CatalogSource = str | Path | Mapping[str, Any]
_OPTIONS = {option.name: option for option in OPTIONS}
DEFAULTS: dict[str, Any] = {"port": 0, "ephemeral": True, "clock": "virtual", "grace": 0.0}


def catalog_paths(source: CatalogSource | Sequence[CatalogSource] | None, folder: Path) -> list[Path]:
    """Return the catalog files, as absolute paths; catalogs that are dicts are written into `folder`.

    Raises ClientError if there is none.
    """
    if source is None:
        paths = discovery.discover(Path.cwd())[0]
        if not paths:
            raise ClientError(
                "there is no catalog-info.yaml here", "Give catalog=..., a path or the catalog as a dict."
            )
        return paths
    sources = source if isinstance(source, list | tuple) else [source]
    paths = [_catalog_path(entry, folder / f"catalog-{number}.yaml") for number, entry in enumerate(sources)]
    return [path.absolute() for path in discovery.expand(paths)]


def _catalog_path(source: CatalogSource, path: Path) -> Path:
    if not isinstance(source, Mapping):
        return Path(source)
    path.write_text(json.dumps({"apiVersion": "backstage.io/v1alpha1", "kind": "Component", **source}))
    return path


def make_settings(target: str | None, options: Mapping[str, Any]) -> Settings:
    """Return the settings for options of `up`. Raises ClientError."""
    for name in options:
        if name not in _OPTIONS:
            raise ClientError(f"unknown option {name!r}; options: {', '.join(nearest(name, _OPTIONS))}")
    if options.get("crash_at") is not None:
        raise ClientError("the option crash_at would end pytest itself", "Use: localqueue up --crash-at POINT")
    values = DEFAULTS | dict(options) | ({"target": target} if target is not None else {})
    if "db" in values:
        values = {"ephemeral": False} | {name: value for name, value in values.items() if name != "ephemeral"}
    settings = Settings(**{name: _value(_OPTIONS[name], value) for name, value in values.items()})
    if problem := settings.problem():
        raise ClientError(problem)
    return settings


def _value(option: Option, value: Any) -> Any:
    """Return the value of an option as Settings has it. Raises ClientError."""
    if value is None:
        return None
    if option.many:
        return tuple(_value(dataclasses.replace(option, many=False), element) for element in _listed(value))
    if option.kind is Path and isinstance(value, str):
        return Path(value)
    if option.name == "start" and isinstance(value, datetime):
        return to_time(value)
    if problem := option.problem(value):
        raise ClientError(f"the option {option.name} {problem}, not {value!r}")
    return value


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def served_namespaces(settings: Settings) -> set[str] | None:
    """Return the namespaces that have a target by the settings; None if one target is for every namespace."""
    target, by_namespace = targets.split_targets(settings.target)
    return None if target is not None else set(by_namespace)
