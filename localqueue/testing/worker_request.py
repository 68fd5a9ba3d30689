"""A request that was delivered to a stub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.datastructures import Headers

from localqueue.core.models import Request


@dataclass(frozen=True)
class WorkerRequest:
    """A request that was delivered to a stub; the names of `headers` are case-insensitive."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def of(cls, request: Request) -> WorkerRequest:
        """Return a delivery as a test sees it."""
        return cls(request.url, request.body, Headers(dict(request.headers)))

    @cached_property
    def json(self) -> Any:
        """Return the body: {"jobId", "queue", "attempt", "data"}."""
        return json.loads(self.body)

    @property
    def job_id(self) -> str:
        """Return the ID of the job."""
        return str(self.json["jobId"])

    @property
    def attempt(self) -> int:
        """Return the number of the attempt, from 1."""
        return int(self.json["attempt"])

    @property
    def data(self) -> Any:
        """Return the job's data."""
        return self.json["data"]
