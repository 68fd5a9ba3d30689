"""The start of the single binary."""

from localqueue.cli.main import main

main(prog_name="localqueue")
