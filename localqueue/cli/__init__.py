"""The command line: parse, call, print, exit code."""

from localqueue.cli.start import main

__all__ = ["main"]
