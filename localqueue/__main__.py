"""Run the command line as `python -m localqueue`."""

from localqueue.cli import main

main(prog_name="localqueue")
