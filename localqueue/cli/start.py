"""Import the command line: that is most of its start, and Ctrl-C may come at any moment of it."""

from localqueue.core.interrupts import ending_at_once

with ending_at_once():
    from localqueue.cli.main import main

__all__ = ["main"]
