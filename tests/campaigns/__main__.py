"""Run the campaigns: `python -m tests.campaigns`, `--only kills`, `--short`, `--count 100`, `--seed 7`."""

from __future__ import annotations

import argparse
import platform
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter

from tests.campaigns.table import CAMPAIGNS, Campaign

LINE = "{:15} {:>9} {:>5} {:>7}  {}"


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
    return run(chosen, given.count, given.seed, is_short=given.short)


def run(campaigns: Sequence[Campaign], count: int | None, seed: int, *, is_short: bool) -> int:
    """Print a table, a line for each campaign; one that breaks doesn't end the others."""
    print(LINE.format("campaign", "count", "seed", "time", "result"))
    return max(_run(each, count or (each.short if is_short else each.long), seed) for each in campaigns)


def _run(campaign: Campaign, count: int, seed: int) -> int:
    began = perf_counter()
    try:
        summary, code = campaign.run(count, seed), 0
    except Exception as error:
        summary, code = f"BROKEN: {type(error).__name__}: {error}", 1
        traceback.print_exc()
    took = f"{perf_counter() - began:.0f} s"
    print(LINE.format(campaign.name, f"{count:,}", seed, took, summary), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
