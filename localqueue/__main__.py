"""Run the command line as `python -m localqueue`."""

try:
    from localqueue.cli import main
except KeyboardInterrupt:
    raise SystemExit(130) from None

main(prog_name="localqueue")
