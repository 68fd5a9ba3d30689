"""Run the campaigns: `python -m tests.campaigns`, `--only kills`, `--short`, `--count 100`, `--seed 7`."""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from time import perf_counter

from tests.campaigns.table import CAMPAIGNS, Campaign


def main() -> int:
    """Return the exit code: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[each.name for each in CAMPAIGNS], help="only these campaigns")
    parser.add_argument("--short", action="store_true", help="the short form, as in the suite")
    parser.add_argument("--count", type=int, help="another count, for all of them")
    parser.add_argument("--seed", type=int, default=1, help="another seed; it repeats a run")
    given = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, Python {platform.python_version()}")
    chosen = [each for each in CAMPAIGNS if not given.only or each.name in given.only]
    return max(_run(each, given.count or (each.short if given.short else each.long), given.seed) for each in chosen)


def _run(campaign: Campaign, count: int, seed: int) -> int:
    began = perf_counter()
    try:
        summary, code = campaign.run(count, seed), 0
    except AssertionError as error:
        summary, code = f"BROKEN: {error}", 1
    print(f"{campaign.name} {count:,} (seed {seed}), {perf_counter() - began:.0f} s: {summary}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
