"""The command line: parse, call, print, exit code."""

from localqueue.cli.main import main

__all__ = ["main"]
