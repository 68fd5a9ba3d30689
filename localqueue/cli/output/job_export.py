"""Write a job as a request or as a regression test that runs as it is."""

from __future__ import annotations

import json
import math
import pprint
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localqueue.core import envelope
from localqueue.core.text import safe
from localqueue.core.times import duration

LONGEST_ARGUMENT = 100_000
"""Longer bodies don't fit into an argument of a command."""


@dataclass(frozen=True, slots=True)
class ExportedJob:
    """A job to write: its names, the JSON text of its data, where its service is, and why it failed."""

    id: str
    namespace: str
    queue: str
    attempt: int
    data: str
    target: str
    endpoint: str
    reason: str

    @property
    def body(self) -> str:
        """Return the body of its delivery."""
        return envelope.delivery_body(self.id, self.queue, max(self.attempt, 1), self.data.encode()).decode()

    @property
    def name(self) -> str:
        """Return a name for a test."""
        return f"{self.queue} {self.id[-8:]}"


def reason(attempt: dict[str, Any] | None) -> str:
    """Return how the latest attempt ended, in a line."""
    if attempt is None:
        return "not delivered yet"
    error = attempt["error"]
    return "completed" if error is None else f"{error['message']} after {duration(attempt['durationMs'])}"


def as_curl(job: ExportedJob) -> str:
    """Return the delivery as a command: it calls the handler, not the queue."""
    head = f"curl -i -X POST {shlex.quote(job.target + job.endpoint)} -H 'Content-Type: application/json'"
    if len(job.body) <= LONGEST_ARGUMENT:
        return f"{head} --data-binary {shlex.quote(job.body)}\n"
    return f"{head} --data-binary @- <<'LOCALQUEUE'\n{job.body}\nLOCALQUEUE\n"


def as_json(job: ExportedJob) -> str:
    """Return the body of the POST /jobs that enqueues the job again."""
    names = json.dumps({"namespace": job.namespace, "queue": job.queue})
    return f'{names[:-1]}, "data": {job.data}}}\n'


def as_pytest(job: ExportedJob) -> str:
    """Return a test for the fixture `localqueue`."""
    parsed = _python_literal(job.data)
    enqueue = (
        f"job = localqueue.enqueue({job.queue!r}, DATA)"
        if parsed is not None
        else f"job = localqueue.client.enqueue({job.namespace!r}, {job.queue!r}, DATA)  # DATA is sent as it is"
    )
    return f'''"""Regression test for job {job.id} of {job.namespace}/{job.queue}: {_comment(job.reason)}."""

DATA = {parsed if parsed is not None else repr(job.data)}


def test_{re.sub(r"[^a-z0-9]+", "_", job.name.lower())}(localqueue):
    localqueue.target = {job.target!r}  # a running service; or: localqueue.serve(app)
    {enqueue}
    localqueue.drain()
    assert localqueue.job(job).state == "completed"
'''


def as_node(job: ExportedJob) -> str:
    """Return a test for node:test, which runs under `localqueue exec --clock virtual`."""
    return f"""// Regression test for job {job.id} of {job.namespace}/{job.queue}: {_comment(job.reason)}.
// Run it with: localqueue exec --clock virtual -- node --test FILE
import assert from "node:assert/strict";
import test from "node:test";

const DATA = {json.dumps(job.data)}; // JSON, sent as it is
const queue = process.env.IEC_QUEUE_URL;

async function call(method, path, body = "{{}}") {{
  const response = await fetch(queue + path, {{
    method,
    headers: {{ "Content-Type": "application/json" }},
    body: method === "GET" ? undefined : body,
  }});
  const content = await response.json();
  assert.ok(response.ok, JSON.stringify(content));
  return content;
}}

test({json.dumps(job.name)}, async () => {{
  await call("PUT", "/_localqueue/targets/{job.namespace}", JSON.stringify({{ url: {json.dumps(job.target)} }}));
  const names = {json.dumps(json.dumps({"namespace": job.namespace, "queue": job.queue})[1:-1])};
  const {{ id }} = await call("POST", "/jobs", `{{${{names}}, "data": ${{DATA}}}}`);
  await call("POST", "/_localqueue/drain");
  const job = await call("GET", `/_localqueue/jobs/${{id}}`);
  assert.equal(job.state, "completed", JSON.stringify(job.attempts.at(-1), null, 2));
}});
"""


FORMATS: dict[str, Callable[[ExportedJob], str]] = {
    "pytest": as_pytest,
    "node": as_node,
    "curl": as_curl,
    "json": as_json,
}


def _comment(text: str) -> str:
    return safe(text).replace('"', "'").replace("\\", "/").rstrip(".")


def _python_literal(data: str) -> str | None:
    """Return JSON as Python, or None if it can't be written without a loss."""
    try:
        value = json.loads(data)
        return pprint.pformat(value, width=100, sort_dicts=False) if _is_exact(value) else None
    except RecursionError:
        return None


def _is_exact(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, float) or math.isfinite(value)
