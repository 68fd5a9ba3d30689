"""Change one thing at a time in the product and see whether a test fails: `make mutants`.

mutmut makes the changes and runs the tests that reach each of them. Its own operators change values, comparisons and
arguments. Ours leave calls out and negate conditions: most of the engine consists of calls that return nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import libcst as cst
from mutmut.__main__ import _run as run_mutmut
from mutmut.configuration import config
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.mutators import mutation_operators
from mutmut.state import reset_state

REASONS = Path(__file__).with_name("mutants.toml")
CAUGHT = {1, 3, -24, 24, 36, 152, 255}
"""The exit codes of mutmut for a failed test and for a timeout; 0 is a mutant that no test caught."""
ENOUGH = 0.85
TESTS = {
    "core": ["tests/core/test_lifecycle.py"],
    "engine": [
        "tests/engine/test_cut_off.py",
        "tests/engine/test_dispatcher.py",
        "tests/engine/test_executor.py",
        "tests/engine/test_own_faults.py",
        "tests/engine/test_partial_moves.py",
        "tests/engine/test_prefetch.py",
        "tests/engine/test_races.py",
        "tests/engine/test_stop_and_reset.py",
        "tests/sim/test_simulation.py::test_histories_that_failed_before_keep_the_rules",
        "tests/sim/test_simulation.py::test_random_histories_keep_the_rules[0]",
    ],
    "store": [
        "tests/store/test_connections.py",
        "tests/store/test_job_listing.py",
        "tests/store/test_job_queries.py",
        "tests/store/test_store.py",
        "tests/store/test_transactions.py",
    ],
}
"""The tests that should catch the mutants of a folder; all within one process, because a mutant lives in one."""


def main() -> int:
    """Return the exit code: 1 if a survivor has no reason, or too many survive."""
    parser = argparse.ArgumentParser(prog="make mutants ARGS=…", description=__doc__)
    parser.add_argument("names", nargs="*", help="modules, or parts of functions' names: store.writer, Store.change")
    parser.add_argument("--count", type=int, help="how many mutants of each module, a random sample (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="it repeats a sample")
    given = parser.parse_args()
    mutation_operators.extend([(cst.Expr, _without_call), (cst.If, _negated)])  # type: ignore[attr-defined]
    lines: list[str] = []
    for folder, tests in TESTS.items():
        paths = [path for path in config().only_mutate if path.startswith(f"localqueue/{folder}/")]
        chosen = {path: names for path in paths if (names := _choose(path, given.names, given.count, given.seed))}
        if chosen:
            _run(tests, [name for names in chosen.values() for name in names])
            lines += [line for path, names in chosen.items() for line in _report(path, names)]
    print("\n".join(lines))
    return int(any(line.startswith(("too few", "no reason")) for line in lines))


def _run(tests: list[str], names: list[str]) -> None:
    shutil.rmtree("mutants", ignore_errors=True)
    reset_state()  # it remembers which test reaches which function
    config().pytest_add_cli_args_test_selection = tests
    run_mutmut(names, max_children=1)


def _without_call(node: cst.Expr) -> Iterable[cst.Pass]:
    if isinstance(node.value, (cst.Call, cst.Await)):
        yield cst.Pass()


def _negated(node: cst.If) -> Iterable[cst.If]:
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def _choose(path: str, wanted: Sequence[str], count: int | None, seed: int) -> list[str]:
    """Return the mutants of a module to run."""
    module = path.removesuffix(".py").replace("/", ".")
    names = [f"{module}.{name}" for name in mutate_file_contents(path, Path(path).read_text()).mutant_names]
    fitting = [name for name in names if not wanted or any(part in _function(name) for part in wanted)]
    if count is None or count >= len(fitting):
        return fitting
    return sorted(random.Random(seed).sample(fitting, count))


def _function(mutant: str) -> str:
    """Return the name of the function that a mutant changes, for people: store.writer.Writer.close."""
    name = mutant.removeprefix("localqueue.").rpartition("__mutmut_")[0]
    return re.sub(r"\.x(_|ǁ)", ".", name).replace("ǁ", ".")


def _report(path: str, names: list[str]) -> Iterable[str]:
    """Yield a line for a module, and one for every survivor without a reason."""
    results = json.loads(Path(f"mutants/{path}.meta").read_text())["exit_code_by_key"]
    survivors = [_survivor(name) for name in names if results[name] not in CAUGHT]
    caught = len(names) - len(survivors)
    yield f"{path.removeprefix('localqueue/'):30} {len(names):4} mutants, {caught:4} caught ({caught / len(names):.0%})"
    if caught < ENOUGH * len(names):
        yield f"too few of {path} are caught"
    reasons = _reasons()
    yield from (f"no reason: {json.dumps(text, ensure_ascii=False)}," for text in survivors if text not in reasons)


def _reasons() -> set[str]:
    groups = tomllib.loads(REASONS.read_text())["survivors"]
    return {text for group in groups for text in group["mutants"]}


def _survivor(mutant: str) -> str:
    """Return the function of a mutant and the lines before and after the change, as mutants.toml has them."""
    lines = get_diff_for_mutant(mutant).splitlines()[2:]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return f"{_function(mutant)}: {before} -> {after}"


if __name__ == "__main__":
    sys.exit(main())
