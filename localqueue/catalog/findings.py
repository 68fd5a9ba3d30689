"""Collect the problems of catalog files."""

from __future__ import annotations

import yaml

from localqueue.catalog.yaml_nodes import position
from localqueue.core.models import Finding


class Findings:
    """The problems found so far; `file` is the file that is being read."""

    def __init__(self) -> None:
        self.file = ""
        self.all: list[Finding] = []

    @property
    def has_errors(self) -> bool:
        """Return whether a catalog can't be used."""
        return any(finding.is_error for finding in self.all)

    def at(self, node: yaml.Node, code: str, message: str, *, is_error: bool = True) -> None:
        """Add a problem at the place of a node."""
        self.add(*position(node), code, message, is_error=is_error)

    def add(self, line: int, column: int, code: str, message: str, *, is_error: bool = True) -> None:
        """Add a problem; line and column are 0 for the whole file."""
        self.all.append(Finding(self.file, line, column, code, message, is_error))

    def add_option(self, option: str, message: str) -> None:
        """Add a problem of an option of the command line."""
        self.all.append(Finding(f"--{option}", 0, 0, f"wrong_{option}", message))
