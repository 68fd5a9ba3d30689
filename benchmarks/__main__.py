"""Measure every goal, or some of them: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import bench, environment, figures
from benchmarks.bench import Bench, Case
from benchmarks.cases import CASES
from benchmarks.processes import ROOT, BenchmarkError

SCRATCH = ROOT / ".bench"
QUICK = 0.2
"""The `--scale` of a quick check."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 1 if a run failed or, with --check, a goal was missed."""
    found = _parser().parse_args(arguments)
    found.scratch.mkdir(parents=True, exist_ok=True)
    machine = environment.describe(found.scratch)
    print(environment.shown(machine), flush=True)
    results: list[figures.Result] = []
    error: BenchmarkError | None = None
    try:
        for result in _measure(_bench(found), found.only):
            print(result.shown(), flush=True)
            results.append(result)
    except BenchmarkError as caught:
        error = caught
    if found.json:
        content = {"environment": machine, "quick": found.quick, "goals": [each.as_json() for each in results]}
        found.json.write_text(json.dumps(content, indent=1) + "\n")
    return _conclude(results, error, found.check)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="GOAL", help="only these: 1, 2.2, ...; or a case. growth runs only if it is named"
    )
    parser.add_argument("--repeat", type=int, metavar="N", help="repetitions (3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the jobs, one round: a quick check")
    parser.add_argument("--scale", type=float, metavar="S", help="multiply every number of jobs (1; 0.2 with --quick)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to this file")
    parser.add_argument(
        "--peers",
        default=",".join(bench.DEFAULT_PEERS),
        metavar="NAMES",
        help=f"of {', '.join(bench.PEERS)}; all or none (default: %(default)s). Installed on demand with npm",
    )
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder for peers, databases and runs")
    return parser


def _bench(found: argparse.Namespace) -> Bench:
    peers = {"all": tuple(bench.PEERS), "none": ()}.get(found.peers, tuple(found.peers.split(",")))
    if unknown := set(peers) - set(bench.PEERS):
        raise SystemExit(f"unknown peers: {', '.join(unknown)}; known: {', '.join(bench.PEERS)}")
    repetitions = found.repeat or (1 if found.quick else 3)
    scale = found.scale or (QUICK if found.quick else 1.0)
    return Bench(found.scratch.resolve(), repetitions, scale, peers)


def _measure(setup: Bench, only: Sequence[str] | None) -> Iterator[figures.Result]:
    chosen = [case for case in CASES if (case.is_default if only is None else any(_fits(case, each) for each in only))]
    if not chosen:
        raise SystemExit(f"no such goal; there are: {', '.join(goal for case in CASES for goal in case.goals)}")
    for case in chosen:
        yield from case.run(setup)


def _fits(case: Case, wanted: str) -> bool:
    return case.name == wanted or any(goal == wanted or goal.startswith(f"{wanted}.") for goal in case.goals)


def _conclude(results: list[figures.Result], error: BenchmarkError | None, check: bool) -> int:
    if error is not None:
        print(f"the run went wrong: {error}", file=sys.stderr)
        return 1
    lines = [each for each in results if isinstance(each, figures.Line) and each.is_met is not None]
    missed = [each.goal for each in lines if not each.is_met]
    skipped = [each.goal for each in results if isinstance(each, figures.Skipped)]
    print(f"{len(lines) - len(missed)} of {len(lines)} goals met", end="")
    print(f"; missed: {', '.join(missed)}" if missed else "", end="")
    print(f"; not measured: {', '.join(skipped)}" if skipped else "")
    return int(check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
