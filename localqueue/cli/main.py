"""The command line: parse, call, print, exit code."""

from __future__ import annotations

import importlib
import io
import re
import shlex
import sys
from typing import Any

import click

from localqueue import __version__
from localqueue.cli.output import standard_streams
from localqueue.core.interrupts import INTERRUPTED, ending_at_once
from localqueue.core.text import nearest, safe

GROUPS = {
    "Run": {
        "up": "up:up",
        "exec": "exec:execute",
        "check": "check:check",
        "doctor": "doctor:doctor",
        "open": "open:open_dashboard",
    },
    "Inspect": {
        "status": "inspect:status",
        "queues": "inspect:queues",
        "schedules": "schedules:schedules",
        "jobs": "inspect:jobs",
        "job": "job:job",
        "tail": "tail:tail",
        "ledger": "clock:ledger",
    },
    "Change": {
        "enqueue": "enqueue:enqueue",
        "retry": "manage:retry",
        "replay": "manage:replay",
        "cancel": "manage:cancel",
        "delete": "manage:delete",
        "pause": "manage:pause",
        "resume": "manage:resume",
        "trigger": "schedules:trigger",
        "reset": "clock:reset",
    },
    "Time": {
        "clock": "clock:clock",
        "advance": "clock:advance",
        "drain": "clock:drain",
    },
    "Test and debug": {
        "fault": "fault:fault",
        "hold": "manage:hold",
        "release": "manage:release",
        "export": "export:export",
        "conformance": "conformance:conformance",
    },
}
"""Every command with its module and function, by what it is for; what is needed first stands first."""
COMMANDS = {name: where for group in GROUPS.values() for name, where in group.items()}

OTHER_NAMES = {
    "start": "up", "run": "up", "serve": "up", "list": "jobs", "ls": "jobs", "show": "job", "logs": "tail",
    "log": "tail", "add": "enqueue", "push": "enqueue", "send": "enqueue", "dashboard": "open",
    "ui": "open",
}  # fmt: skip
"""What other tools call a command: the most similar name would be another one, such as `reset` for `list`."""
WHERE_TO_FIND = {
    "ID": "To list jobs: localqueue jobs",
    "QUEUE": "To list queues: localqueue queues",
    "SCHEDULE": "To list schedules: localqueue schedules",
    "-- COMMAND...": "For example: localqueue exec -- npm test",
}
"""How to find the value of an argument that is missing."""
EXTRA_ARGUMENT = re.compile(r"Got unexpected extra argument \((.+)\)", re.DOTALL)


class Commands(click.Group):
    """The commands, each imported when it is asked for: most need neither the server nor the database."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command, with standard streams that are open."""
        standard_streams.ensure_open()
        return super().main(*arguments, **options)

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the words before the name of a command."""
        with ending_at_once():
            return super().make_context(*arguments, **options)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of `--help`, in their groups."""
        widest = max(map(len, COMMANDS))
        room = formatter.width - widest - 6
        for title, names in GROUPS.items():
            commands = [(name.ljust(widest), self.get_command(context, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(room)) for name, command in commands if command])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, or None where there is none of that name."""
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name].split(":")
        with ending_at_once():
            command = getattr(importlib.import_module(f"localqueue.cli.commands.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, context: click.Context, words: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words begin with. Raises UsageError, naming the nearest one."""
        if words and words[0] not in COMMANDS and not words[0].startswith("-"):
            near = OTHER_NAMES.get(words[0]) or " or ".join(nearest(words[0], COMMANDS)[:2])
            context.fail(f"no such command: {safe(words[0])!r}; did you mean {near}?")
        return super().resolve_command(context, words)

    def invoke(self, context: click.Context) -> Any:
        """Run the command of the words; Ctrl-C ends it without a word.

        Raises UsageError, saying what to type instead if that is known.
        """
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            context.exit(INTERRUPTED)
        except click.UsageError as error:
            hint = None if error.ctx is None else _hint(error, error.ctx)
            if hint is None:
                raise
            raise click.UsageError(f"{error.format_message()}\n{hint}", error.ctx) from None


def _hint(error: click.UsageError, context: click.Context) -> str | None:
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return WHERE_TO_FIND.get(error.param.make_metavar(context))
    extra = EXTRA_ARGUMENT.fullmatch(error.message)
    if extra is not None and any("--catalog" in parameter.opts for parameter in context.command.params):
        return f"To name a catalog: localqueue {context.info_name} --catalog {shlex.quote(safe(extra[1]))}"
    return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="localqueue")
def main() -> None:
    """The platform's job queue on your laptop.

    Run `localqueue up` in the folder of your service.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
