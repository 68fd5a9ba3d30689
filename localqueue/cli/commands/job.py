"""`job`: a job and its attempts on a line of time: why it failed, and when the next try is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, print_json, suggestion, with_client, with_colors
from localqueue.cli.output import html_text, phrases, table, text_block
from localqueue.cli.output.table import Cell
from localqueue.cli.output.terminal import STATES, Painter, terminal_width
from localqueue.client import decoding
from localqueue.client.client import Client, path_of
from localqueue.core.models import Attempt, JobState, Outcome, OutcomeKind, Response
from localqueue.core.text import counted, fit, safe
from localqueue.core.times import distance, duration, moment, parse_time

SHOWN_ATTEMPTS = 6
SHOWN_LINES = 24
WIDEST = 160
"""How wide lines are where output goes to no terminal."""
_MARKS = {"completed": "✓", "failed": "✗", "cancelled": "✗"}
_AGAIN = {
    "completed": ("run it again", "replay"),
    "failed": ("mend the handler, then", "retry"),
    "cancelled": ("run it after all", "retry"),
}


@click.command()
@click.argument("id_", metavar="ID", shell_complete=completion.complete_job)
@click.option("--full", is_flag=True, help="Show every attempt, all headers, and bodies to their end.")
@as_json
@with_colors
@with_client
def job(client: Client, id_: str, full: bool, is_json: bool, paint: Painter) -> None:
    """Show a job's attempts: why it failed, when the next try is.

    Each attempt is shown with its response, and with when the next one is due and why.
    """
    path = path_of("jobs", id_)
    if is_json:
        print_json(client.text(path))
        return
    found = client.get(path)
    data = client.text(path + "/data")
    clock = client.get("/clock")
    attempts = [decoding.attempt(each) for each in found["attempts"]]
    view = View(
        found, attempts, paint, parse_time(clock["now"]), clock["mode"] == "virtual", terminal_width() or WIDEST, full
    )
    for line in view.lines(data):
        click.echo(line)


@dataclass(frozen=True, slots=True)
class View:
    """Lay a job out; `columns` is the room of a line, `is_full` leaves nothing out."""

    found: dict[str, Any]
    attempts: list[Attempt]
    paint: Painter
    now_ms: int
    is_virtual: bool
    columns: int
    is_full: bool

    def lines(self, data: str) -> Iterator[str]:
        """Yield the lines: who it is, what it carries, the attempts in order, what comes next."""
        found = self.found
        state = self.paint(STATES.get(found["state"], "bold"), safe(found["state"]))
        queue = fit(safe(found["queue"]), self.columns - 22)
        yield f"{self.paint('bold', queue)}  {safe(found['shortId'])}  {state}"
        yield from table.facts(self._facts(), self.paint, self.columns)
        yield from self._payload(data)
        yield ""
        yield from self._made()
        yield from self._next()

    def _facts(self) -> list[tuple[str, Cell]]:
        created_ms = parse_time(self.found["createdAt"])
        facts = [
            ("id", Cell(self.found["id"])),
            ("service", Cell(self.found["namespace"])),
            ("enqueued", Cell(f"{self._time(created_ms)}, {distance(created_ms - self.now_ms)}")),
        ]
        if self.found["replayOf"]:
            facts.append(("replay of", Cell(self.found["replayOf"])))
        if self.attempts:
            facts.append(("sent to", Cell(self.attempts[-1].url)))
        return facts

    def _payload(self, data: str) -> Iterator[str]:
        lines = self._block(data, 14)
        yield f"  {self.paint('dim', 'payload')}   {lines[0]}"
        yield from (" " * 12 + line for line in lines[1:])

    # attempts

    def _made(self) -> Iterator[str]:
        hidden = 0 if self.is_full else max(len(self.attempts) - SHOWN_ATTEMPTS, 0)
        if hidden:
            yield self.paint("dim", f"  … {counted(hidden, 'earlier attempt')}: {self._full()}")
        shown = self.attempts[hidden:]
        for attempt, after in itertools.zip_longest(shown, shown[1:]):
            yield from self._attempt(attempt, after)
            if after is not None and after.round != attempt.round:
                yield self.paint("dim", f"  ─ retried by hand: round {after.round}")

    def _attempt(self, attempt: Attempt, after: Attempt | None) -> Iterator[str]:
        tone = "good" if attempt.outcome.kind is OutcomeKind.COMPLETED else "bad"
        word = self.paint(tone, safe(phrases.outcome_word(attempt) + _phrase(attempt.outcome.status)))
        yield f"  {self.paint(tone, '●')} attempt {attempt.number}/{attempt.max_attempts}  {word}"
        for line in self._told(attempt, after):
            yield f"  {self.paint('dim', '│')} {line}".rstrip()

    def _told(self, attempt: Attempt, after: Attempt | None) -> Iterator[str]:
        outcome = attempt.outcome
        yield self.paint("dim", self._times(attempt))
        if outcome.error is not None and outcome.error.message != f"the service answered {outcome.status}":
            yield from self._block(outcome.error.message, 4)
        if outcome.response is not None and after is not None and _is_same(outcome, after.outcome) and not self.is_full:
            yield "the same response as the next one"
        elif outcome.response is not None:
            yield from self._response(outcome.response)
        if attempt.next_due_ms is not None:
            yield from self._block(f"next due {self._time(attempt.next_due_ms)}: {attempt.reason}", 4)
        elif outcome.kind is not OutcomeKind.COMPLETED:
            yield from self._block(attempt.reason, 4)

    def _times(self, attempt: Attempt) -> str:
        late_ms = attempt.started_ms - attempt.due_ms
        started = f"started {duration(late_ms)} later" if late_ms > 0 else "started on time"
        return f"due {self._time(attempt.due_ms)}, {started}, took {duration(attempt.duration_ms)}"

    def _response(self, response: Response) -> Iterator[str]:
        body = response.body.decode("utf-8", "replace")
        is_page = not self.is_full and dict(response.headers).get("content-type", "").startswith("text/html")
        for name, value in response.headers:
            if self.is_full or name in ("content-type", "retry-after", "location"):
                note = " (not obeyed)" * (name == "retry-after") + " (as text)" * (is_page and name == "content-type")
                yield from self._block(f"{name}: {value}{note}", 4)
        body = html_text.as_text(body) if is_page else body
        yield from (f"  {line}" for line in self._block(body if body.strip() else "(empty body)", 6))
        if response.truncated:
            yield "  (cut: localqueue keeps the first 64 KiB of a body)"

    # what comes next

    def _next(self) -> Iterator[str]:
        """Yield what becomes of the job, and the command that does something about it."""
        state = self.found["state"]
        if self.found["held"]:
            yield from self._held()
        elif self.found["finishedAt"]:
            ended_ms = parse_time(self.found["finishedAt"])
            mark = self.paint(STATES[state], _MARKS[state])
            yield f"  {mark} {safe(state)} {distance(ended_ms - self.now_ms)}, at {self._time(ended_ms)}"
            reason, verb = _AGAIN[state]
            yield self._command(reason, verb, self.found["shortId"])
        elif state == JobState.RUNNING:
            since = phrases.running(self.found, self.now_ms)
            yield f"  ◐ attempt {self._number(int(self.found['attempt']))} is under way {since}"
        else:
            yield from self._due()

    def _held(self) -> Iterator[str]:
        reason = safe(phrases.held(self.found["held"]))
        yield f"  ○ attempt {self._number()} is {self.paint('warn', 'held')}: {reason}"
        yield f"    {phrases.remedy(self.found)}"

    def _due(self) -> Iterator[str]:
        due_ms = parse_time(self.found["dueAt"])
        wait_ms = max(due_ms - self.now_ms, 0)
        if wait_ms:
            when = self.paint("warn", f"due {distance(wait_ms)}")
            yield f"  ○ attempt {self._number()} is {when}, at {self._time(due_ms)}"
            yield self._command("make it now", "advance", phrases.as_written(wait_ms))
        elif self.is_virtual:
            yield f"  ○ attempt {self._number()} is {self.paint('warn', 'due now')}; virtual time is moved by hand"
            yield self._command("make it", "advance", "0s")
        else:
            yield f"  ○ attempt {self._number()} is {self.paint('warn', 'due now')}: it starts when a slot is free"

    def _command(self, reason: str, *command: str) -> str:
        return f"    {reason}: {self.paint('bold', suggestion(*command))}"

    # parts

    def _number(self, number: int | None = None) -> str:
        return f"{number or self._next_number()}/{int(self.found['maxAttempts'])}"

    def _next_number(self) -> int:
        """Return the number of the attempt that comes next: an interrupted one is made again."""
        made = [each for each in self.attempts if each.round == self.found["round"]]
        return made[-1].number + made[-1].outcome.kind.is_counted if made else 1

    def _time(self, ms: int) -> str:
        return moment(ms, self.now_ms)

    def _block(self, text: str, indent: int) -> list[str]:
        limit = None if self.is_full else SHOWN_LINES
        columns = max(self.columns - indent, 10)
        return text_block.lines(text_block.pretty(text, columns), columns, limit, self._full())

    def _full(self) -> str:
        return suggestion("job", self.found["shortId"], "--full")


def _phrase(status: int | None) -> str:
    with contextlib.suppress(ValueError):
        return f" {HTTPStatus(status).phrase}" if status is not None else ""
    return ""


def _is_same(one: Outcome, other: Outcome) -> bool:
    """Return whether two responses are the same but for their headers: those tell the time."""
    if one.response is None or other.response is None:
        return False
    return (one.status, one.response.body) == (other.status, other.response.body)
