"""Mutation test: how many small faults in the numerical packages do the tests of the package find?

    python tools/mutation.py --sample 100 --out mutation

Cosmic Ray lists the mutants (a sign, a comparison, a number, a condition changed) of each module. A seeded sample of every
package is written into a copy of the tree, one mutant at a time, and `pytest tests/PACKAGE` runs against it, first the
test file that is named like the module. A mutant that no test notices survives. Results are appended to
`OUT/results.jsonl` as they come, so an interrupted run goes on where it stopped; `OUT/survivors.md` lists what survived.
`--again` runs the survivors once more, after tests were added.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("fields", "diffusion", "autoencoder", "training")
COPIED = ("ddmi_core", "plugins", "tests", "examples", "docs", "tools", "pyproject.toml", "README.md")
# The other operators of Cosmic Ray give expressions that fail at once (bits of floats, shifts), which would only raise
# the share of killed mutants.
OPERATORS = frozenset(
    """
    AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue
    ReplaceContinueWithBreak NumberReplacer RemoveDecorator ZeroIterationForLoop
    ReplaceBinaryOperator_Add_Sub ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_Mul_Div
    ReplaceBinaryOperator_Div_Mul ReplaceBinaryOperator_FloorDiv_Mul ReplaceBinaryOperator_Mod_FloorDiv
    ReplaceBinaryOperator_Pow_Mul ReplaceComparisonOperator_Eq_NotEq ReplaceComparisonOperator_NotEq_Eq
    ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_Lt_GtE ReplaceComparisonOperator_LtE_Lt
    ReplaceComparisonOperator_LtE_Gt ReplaceComparisonOperator_Gt_GtE ReplaceComparisonOperator_Gt_LtE
    ReplaceComparisonOperator_GtE_Gt ReplaceComparisonOperator_GtE_Lt ReplaceComparisonOperator_Is_IsNot
    ReplaceComparisonOperator_IsNot_Is ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Not
    """.split()
)


def mutants(package: str) -> Iterator[dict]:
    """Every mutant of a package: its module, operator and occurrence, which name it, and its line."""
    from cosmic_ray.commands.init import _all_work_items

    modules = sorted((ROOT / "ddmi_core" / package).rglob("*.py"))
    for item in _all_work_items([module.relative_to(ROOT) for module in modules], {}):
        (mutation,) = item.mutations
        if mutation.operator_name.removeprefix("core/") in OPERATORS:
            yield {
                "package": package,
                "module": str(mutation.module_path),
                "operator": mutation.operator_name,
                "occurrence": mutation.occurrence,
                "line": mutation.start_pos[0],
            }


def key(mutant: dict) -> tuple[str, str, int]:
    """What names a mutant."""
    return mutant["module"], mutant["operator"], mutant["occurrence"]


def tests_of(mutant: dict) -> list[str]:
    """The test file named like the module, where there is one, then all tests of the package."""
    folder = Path("tests") / mutant["package"]
    names = {Path(mutant["module"]).stem, Path(mutant["module"]).parent.name}
    first = sorted(str(path) for name in names for path in folder.rglob(f"test_{name}.py"))
    return [*first, str(folder)]


def work_in_a_copy() -> None:
    """Copy the tree for this worker, and work there: a mutant is written into the files."""
    copy = Path(tempfile.mkdtemp(prefix="ddmi-mutation-"))
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        else:
            shutil.copy2(source, copy / name)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(copy), str(copy / "plugins")])
    os.environ["OMP_NUM_THREADS"] = "1"


def outcome(mutant: dict, timeout: float) -> dict:
    """Run the tests against a mutant."""
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import MutationSpec

    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests_of(mutant)]
    # The end of the range is only read by filters.
    spec = MutationSpec(mutant["module"], mutant["operator"], mutant["occurrence"], (1, 0), (1, 1))
    begin = time.monotonic()
    result = mutate_and_test([spec], " ".join(command), timeout)
    return {
        **mutant,
        "killed": result.is_killed,
        "seconds": round(time.monotonic() - begin, 1),
        "by": _killer(result.output or ""),
        "diff": result.diff,
    }


def _killer(output: str) -> str:
    """The line of pytest's output that says which test failed."""
    if output == "timeout":
        return output
    return next((line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))), "")[:200]


def interval(killed: int, total: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score (Wilson 1927)."""
    z = 1.96
    share, spread = killed / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return middle - half, middle + half


def report(results: list[dict], listed: Counter[str]) -> str:
    """Share of killed mutants by package, and the survivors."""
    lines = ["| package | mutants | sampled | killed | share | 95 % interval |", "|---|---|---|---|---|---|"]
    for name in (*PACKAGES, "all"):
        of = [result for result in results if name in (result["package"], "all")]
        if of:
            killed = sum(result["killed"] for result in of)
            low, high = interval(killed, len(of))
            total = listed.total() if name == "all" else listed[name]
            lines.append(f"| {name} | {total} | {len(of)} | {killed} | {killed / len(of):.1%} | {low:.1%} to {high:.1%} |")
    for result in sorted(results, key=lambda result: (result["module"], result["line"])):
        if not result["killed"]:
            changed = [
                line for line in result["diff"].split("\n") if line[:1] in "+-" and not line.startswith(("+++", "---"))
            ]
            lines += ["", f"{result['module']}:{result['line']}", "```diff", *changed, "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES, help=f"packages of ddmi_core (all: {PACKAGES})")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each package; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("mutation"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds, after which a mutant counts as killed")
    parser.add_argument("--again", action="store_true", help="run the survivors once more")
    options = parser.parse_args()

    os.chdir(ROOT)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out.resolve() / "results.jsonl"
    done = {key(one): one for one in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    chosen, listed = [], Counter[str]()
    for package in options.packages:
        every = list(mutants(package))
        listed[package] = len(every)
        random.Random(options.seed).shuffle(every)
        chosen += every[: options.sample or None]
    waiting = [one for one in chosen if key(one) not in done or (options.again and not done[key(one)]["killed"])]
    with ProcessPoolExecutor(options.jobs, initializer=work_in_a_copy) as pool, file.open("a", encoding="utf-8") as sink:
        for future in as_completed([pool.submit(outcome, one, options.timeout) for one in waiting]):
            result = future.result()
            done[key(result)] = result
            sink.write(json.dumps(result) + "\n")
            sink.flush()
            print(f"{'killed' if result['killed'] else 'SURVIVED'}  {result['module']}:{result['line']}  {result['by']}")
    text = report([done[key(one)] for one in chosen], listed)
    file.with_name("survivors.md").write_text(text, encoding="utf-8")
    print(text.split("\n\n")[0])


if __name__ == "__main__":
    main()
