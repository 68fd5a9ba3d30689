"""`localqueue job`: show a job, its attempts, and what comes next."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.commands.export import exported_job
from localqueue.cli.options import as_json, print_json, suggestion, with_client, with_colors, with_utc
from localqueue.cli.output import job_export, phrases, table, text_block
from localqueue.cli.output.table import Cell
from localqueue.cli.output.terminal import STATES, Painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat, read_clock
from localqueue.client import decoding
from localqueue.client.client import Client
from localqueue.core import html_text
from localqueue.core.models import Attempt, JobState, Outcome, OutcomeKind, Response
from localqueue.core.text import counted, fit, safe, sentence
from localqueue.core.times import distance, duration, parse_time

SHOWN_ATTEMPTS = 6
SHOWN_LINES = 24
WIDEST = 160
"""The width of lines, in columns, if the output isn't a terminal."""
_MARKS = {"completed": "✓", "failed": "✗", "cancelled": "✗"}
_VERBS = {"completed": "replay", "failed": "retry", "cancelled": "retry"}


@click.command()
@click.argument("id_", metavar="ID", shell_complete=completion.complete_job)
@click.option("--full", is_flag=True, help="Show every attempt, all headers, and whole bodies.")
@click.option("--curl", is_flag=True, help="Print its delivery as a curl command: it calls the handler.")
@as_json
@with_utc
@with_colors
@with_client
def job(client: Client, id_: str, full: bool, curl: bool, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """Show a job, its attempts, and why it failed.

    It shows the responses, too, and when the next attempt is due.
    """
    if curl:
        click.echo(job_export.as_curl(exported_job(client, id_)), nl=False)
        return
    if is_json:
        print_json(client.job_text(id_))
        return
    content, data, clock = client.job(id_), client.job_data(id_), client.clock()
    attempts = [decoding.attempt(attempt) for attempt in content["attempts"]]
    times, now_ms = read_clock(clock, is_utc)
    is_virtual, columns = clock["mode"] == "virtual", terminal_width() or WIDEST
    page = JobPage(content, attempts, paint, times, now_ms, is_virtual, columns, full)
    for line in page.lines(data):
        click.echo(line)


@dataclass(frozen=True, slots=True)
class JobPage:
    """The page of a job; `columns` is the width of a line, `is_full` includes everything."""

    job: dict[str, Any]
    attempts: list[Attempt]
    paint: Painter
    times: TimeFormat
    now_ms: int
    is_virtual: bool
    columns: int
    is_full: bool

    def lines(self, data: str) -> Iterator[str]:
        """Yield the lines: facts, payload, attempts, and what comes next."""
        job = self.job
        state = self.paint(STATES.get(job["state"], "bold"), safe(job["state"]))
        queue = fit(safe(job["queue"]), self.columns - 22)
        yield f"{self.paint('bold', queue)}  {safe(job['shortId'])}  {state}"
        yield from table.facts(self._facts(), self.paint, self.columns)
        yield from self._payload(data)
        yield ""
        yield from self._attempts()
        yield from self._next()

    def _facts(self) -> list[tuple[str, Cell]]:
        created_ms = parse_time(self.job["createdAt"])
        facts = [
            ("id", Cell(self.job["id"])),
            ("service", Cell(self.job["namespace"])),
            ("enqueued", Cell(f"{self._time(created_ms)}, {distance(created_ms - self.now_ms)}")),
        ]
        if self.job["replayOf"]:
            facts.append(("replay of", Cell(self.job["replayOf"])))
        if self.attempts:
            facts.append(("sent to", Cell(self.attempts[-1].url)))
        return facts

    def _payload(self, data: str) -> Iterator[str]:
        lines = self._block(data, 14)
        yield f"  {self.paint('dim', 'payload')}   {lines[0]}"
        yield from (" " * 12 + line for line in lines[1:])
        if keys := self.job.get("ignoredKeys"):
            hint = "; did you mean data?" if data == "null" else ""
            named = ", ".join(repr(safe(key)) for key in keys)
            note = f"the request had unknown keys, which were ignored: {named}{hint}"
            yield f"  {self.paint('warn', 'warning')}   {note}"

    # attempts

    def _attempts(self) -> Iterator[str]:
        hidden = 0 if self.is_full else max(len(self.attempts) - SHOWN_ATTEMPTS, 0)
        if hidden:
            yield self.paint("dim", f"  … {counted(hidden, 'earlier attempt')}: {self._full()}")
        shown = self.attempts[hidden:]
        for index, (attempt, after) in enumerate(itertools.zip_longest(shown, shown[1:]), hidden):
            yield from self._attempt(attempt, after)
            if self.is_full or after is None:
                yield from self._explained(index)
            if after is not None and after.round != attempt.round:
                yield self.paint("dim", f"  ─ retried: round {after.round}")

    def _attempt(self, attempt: Attempt, after: Attempt | None) -> Iterator[str]:
        tone = "good" if attempt.outcome.kind is OutcomeKind.COMPLETED else "bad"
        word = self.paint(tone, safe(phrases.outcome_word(attempt) + _phrase(attempt.outcome.status)))
        word += phrases.injected_mark(attempt)
        yield f"  {self.paint(tone, '●')} attempt {attempt.number}/{attempt.max_attempts}  {word}"
        for line in self._details(attempt, after):
            yield f"  {self.paint('dim', '│')} {line}".rstrip()

    def _details(self, attempt: Attempt, after: Attempt | None) -> Iterator[str]:
        outcome = attempt.outcome
        yield self.paint("dim", self._times(attempt))
        if outcome.error is not None and outcome.error.message != f"the service responded {outcome.status}":
            yield from self._block(outcome.error.message, 4)
        if outcome.response is not None and after is not None and _is_same(outcome, after.outcome) and not self.is_full:
            yield f"same response as attempt {after.number}"
        elif outcome.response is not None:
            yield from self._response(outcome.response)
        if attempt.next_due_ms is not None:
            yield from self._block(f"next due {self._time(attempt.next_due_ms)}: {attempt.reason}", 4)
        elif outcome.kind is not OutcomeKind.COMPLETED:
            yield from self._block(attempt.reason, 4)

    def _explanation(self, index: int) -> dict[str, str] | None:
        """Return what the end of an attempt means, or None; its text and its command."""
        meaning = self.job["attempts"][index]["explanation"] if 0 <= index < len(self.attempts) else None
        return None if meaning is None else {"text": str(meaning["text"]), "command": str(meaning["command"])}

    def _explained(self, index: int) -> Iterator[str]:
        meaning = self._explanation(index)
        if meaning is None:
            return
        for line in self._block(sentence(safe(meaning["text"], 500)), 4):
            yield f"  {self.paint('warn', '│')} {line}"
        if self.job["shortId"] not in meaning["command"]:
            yield f"  {self.paint('warn', '│')} {self.paint('bold', safe(meaning['command'], 500))}"

    def _times(self, attempt: Attempt) -> str:
        late_ms = attempt.started_ms - attempt.due_ms
        started = f"started {duration(late_ms)} later" if late_ms > 0 else "started on time"
        return f"due {self._time(attempt.due_ms)}, {started}, took {duration(attempt.duration_ms)}"

    def _response(self, response: Response) -> Iterator[str]:
        body = response.body.decode("utf-8", "replace")
        is_page = not self.is_full and dict(response.headers).get("content-type", "").startswith("text/html")
        for name, value in response.headers:
            if self.is_full or name in ("content-type", "retry-after", "location"):
                note = " (ignored)" * (name == "retry-after") + " (as text)" * (is_page and name == "content-type")
                yield from self._block(f"{name}: {value}{note}", 4)
        body = html_text.as_text(body) if is_page else body
        yield from (f"  {line}" for line in self._block(body if body.strip() else "(empty body)", 6))
        if response.truncated:
            yield "  (truncated: localqueue keeps the first 64 KiB of a body)"

    # what comes next

    def _next(self) -> Iterator[str]:
        """Yield what happens next, and the command that changes it."""
        state = self.job["state"]
        if self.job["held"]:
            yield from self._held()
        elif self.job["finishedAt"]:
            ended_ms = parse_time(self.job["finishedAt"])
            mark = self.paint(STATES[state], _MARKS[state])
            yield f"  {mark} {safe(state)} {distance(ended_ms - self.now_ms)}, at {self._time(ended_ms)}"
            yield self._command(self._advice(state), _VERBS[state], self.job["shortId"])
        elif state == JobState.RUNNING:
            since = phrases.running(self.job, self.now_ms)
            yield f"  ◐ attempt {self._number(int(self.job['attempt']))} has been running {since}"
        else:
            yield from self._due()

    def _held(self) -> Iterator[str]:
        reason = safe(phrases.held(self.job["held"]))
        yield f"  ○ attempt {self._number()} is {self.paint('warn', 'held')}: {reason}"
        yield f"    {phrases.remedy(self.job)}"

    def _due(self) -> Iterator[str]:
        due_ms = parse_time(self.job["dueAt"])
        wait_ms = max(due_ms - self.now_ms, 0)
        if wait_ms:
            when = self.paint("warn", f"due {distance(wait_ms)}")
            yield f"  ○ attempt {self._number()} is {when}, at {self._time(due_ms)}"
            yield self._command("To run it now", "advance", phrases.duration_argument(wait_ms))
        elif self.is_virtual:
            yield f"  ○ attempt {self._number()} is {self.paint('warn', 'due now')}; virtual time is paused"
            yield self._command("To run it", "advance", "0s")
        else:
            yield f"  ○ attempt {self._number()} is {self.paint('warn', 'due now')} and starts when a slot is free"

    def _advice(self, state: str) -> str:
        """Return when to use the command that runs a finished job again."""
        if state != "failed":
            return "To run it again"
        return (
            "Fix the handler, then run"
            if self._explanation(len(self.attempts) - 1) is None
            else "Once the cause is fixed, run"
        )

    def _command(self, reason: str, *command: str) -> str:
        return f"    {reason}: {self.paint('bold', suggestion(*command))}"

    # parts

    def _number(self, number: int | None = None) -> str:
        return f"{number or self._next_number()}/{int(self.job['maxAttempts'])}"

    def _next_number(self) -> int:
        """Return the number of the next attempt: an interrupted one runs again."""
        last = next((attempt for attempt in reversed(self.attempts) if attempt.round == self.job["round"]), None)
        return 1 if last is None else last.number + last.outcome.kind.is_counted

    def _time(self, ms: int) -> str:
        return self.times.moment(ms, self.now_ms)

    def _block(self, text: str, indent: int) -> list[str]:
        limit = None if self.is_full else SHOWN_LINES
        columns = max(self.columns - indent, 10)
        return text_block.lines(text_block.pretty(text, columns), columns, limit, self._full())

    def _full(self) -> str:
        return suggestion("job", self.job["shortId"], "--full")


def _phrase(status: int | None) -> str:
    with contextlib.suppress(ValueError):
        return f" {HTTPStatus(status).phrase}" if status is not None else ""
    return ""


def _is_same(one: Outcome, other: Outcome) -> bool:
    """Return whether two responses are the same except for their headers, which contain the time."""
    if one.response is None or other.response is None:
        return False
    return (one.status, one.response.body) == (other.status, other.response.body)
