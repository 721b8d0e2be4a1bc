"""Mutation test: how many small faults in the numerical packages do the tests of the package find?

    python tools/mutation.py --sample 100 --out mutation

Cosmic Ray lists the mutants (a sign, a comparison, a number, a condition changed) of each module. A seeded sample of
every package is written into a copy of the tree, one mutant at a time, and `pytest tests/PACKAGE` runs against it,
first the test file that is named like the module. A mutant that no test notices survives. Results are appended to
`OUT/results.jsonl` as they come, so an interrupted run goes on where it stopped; `OUT/report.md` has the shares and
what survived. `--again` runs the survivors of `OUT/results.jsonl` once more, after tests were added.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from ddmi_core.allowance import cores

ROOT = Path(__file__).parents[1]
PACKAGES = ("fields", "diffusion", "autoencoder", "training")
COPIED = ("ddmi_core", "plugins", "tests", "examples", "docs", "tools", "pyproject.toml", "README.md")
# The other operators of Cosmic Ray give expressions that fail at once (bits of floats, shifts), which would only raise
# the share of killed mutants.
_BINARY = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul")
_COMPARISON = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")
OPERATORS = {
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "RemoveDecorator"),
    *("ZeroIterationForLoop", "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not"),
    *(f"ReplaceBinaryOperator_{pair}" for pair in _BINARY),
    *(f"ReplaceComparisonOperator_{pair}" for pair in (*_COMPARISON, "Is_IsNot", "IsNot_Is")),
}

Mutant = dict[str, Any]  # package, module, operator, occurrence and span; with its outcome: killed, seconds, by, diff


def mutants(package: str) -> Iterator[Mutant]:
    """Every mutant of a package: its module, operator and occurrence, which name it, and its place."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast_from_path

    for module in sorted((ROOT / "ddmi_core" / package).rglob("*.py")):
        nodes = list(ast_nodes(get_ast_from_path(module)))
        for name in plugins.operator_names():
            if name.removeprefix("core/") not in OPERATORS:
                continue
            operator = plugins.get_operator(name)()
            spans = chain.from_iterable(operator.mutation_positions(node) for node in nodes)
            for occurrence, (start, end) in enumerate(spans):
                yield {
                    "package": package,
                    "module": str(module.relative_to(ROOT)),
                    "operator": name,
                    "occurrence": occurrence,
                    "line": start[0],
                    "span": [start, end],
                }


def key(mutant: Mutant) -> tuple[str, str, int]:
    """What names a mutant."""
    return mutant["module"], mutant["operator"], mutant["occurrence"]


def tests_of(mutant: Mutant) -> list[str]:
    """The test files named like the module or its folder, where there are any, then all tests of the package."""
    folder = Path("tests") / mutant["package"]
    names = {Path(mutant["module"]).stem, Path(mutant["module"]).parent.name}
    first = sorted(str(path) for name in names for path in folder.rglob(f"test_{name}.py"))
    return [*first, str(folder)]


def command_of(tests: Sequence[str]) -> list[str]:
    """The tests up to the first that fails, in one process."""
    return [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]


def work_in_a_copy(folder: Path) -> None:
    """Copy the tree to a folder for this worker, and work there: a mutant is written into the files."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(copy), str(copy / "plugins")])
    os.environ["OMP_NUM_THREADS"] = "1"


def passing(package: str) -> tuple[str, str]:
    """A package, and the test that fails without any mutant; empty if all pass."""
    done = subprocess.run(command_of([f"tests/{package}"]), capture_output=True, text=True, check=False)
    return package, "" if done.returncode == 0 else killer(done.stdout) or done.stdout[-200:] or done.stderr[-200:]


def outcome(mutant: Mutant, timeout: float) -> Mutant:
    """Run the tests against a mutant.

    Raises:
        RuntimeError: if the tests could not run.
    """
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import MutationSpec, WorkerOutcome

    start, end = mutant["span"]
    spec = MutationSpec(mutant["module"], mutant["operator"], mutant["occurrence"], tuple(start), tuple(end))
    begin = time.monotonic()
    result = mutate_and_test([spec], shlex.join(command_of(tests_of(mutant))), timeout)
    if result.worker_outcome != WorkerOutcome.NORMAL:
        raise RuntimeError(f"{key(mutant)}: {result.worker_outcome}: {result.output}")
    seconds = round(time.monotonic() - begin, 1)
    by = killer(result.output or "") if result.is_killed else ""
    return {**mutant, "killed": result.is_killed, "seconds": seconds, "by": by, "diff": result.diff}


def killer(output: str) -> str:
    """The line of pytest's output that says which test failed."""
    if output == "timeout":
        return output
    return next((line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))), "")[:200]


def changed(mutant: Mutant) -> list[str]:
    """The lines of the difference that a mutant makes."""
    lines = mutant["diff"].split("\n")
    return [line for line in lines if line[:1] in ("+", "-") and not line.startswith(("+++", "---"))]


def interval(killed: int, total: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score (Wilson 1927)."""
    from ddmi_core.api import Estimate

    return Estimate.share(killed / total, total).interval


def report(results: Iterable[Mutant], listed: Mapping[str, int]) -> str:
    """Share of killed mutants by package, and the survivors.

    Args:
        results: mutants with their outcome.
        listed: number of all mutants of each package.
    """
    ordered = sorted(results, key=lambda result: (result["module"], result["line"]))
    lines = ["| package | mutants | sampled | killed | share | 95 % interval |", "|---|---|---|---|---|---|"]
    for name in (*listed, "all"):
        of = [result for result in ordered if name in (result["package"], "all")]
        if of:
            killed = sum(result["killed"] for result in of)
            low, high = interval(killed, len(of))
            total = sum(listed.values()) if name == "all" else listed[name]
            lines.append(
                f"| {name} | {total} | {len(of)} | {killed} | {killed / len(of):.1%} | {low:.1%} to {high:.1%} |"
            )
    for result in ordered:
        if not result["killed"]:
            lines += ["", f"{result['module']}:{result['line']}", "```diff", *changed(result), "```"]
    return "\n".join(lines) + "\n"


def in_turn(samples: Iterable[Sequence[Mutant]]) -> list[Mutant]:
    """One mutant of each package after the other, so that an interrupted run has about as many of each."""
    return [mutant for row in zip_longest(*samples) for mutant in row if mutant is not None]


def main() -> None:
    """Read the command line, run the mutants that have no result yet, and write the report.

    Raises:
        SystemExit: if a test fails without any mutant, which would seem to kill all of them.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES, help=f"packages of ddmi_core (all: {PACKAGES})")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each package; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("mutation"))
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds, after which a mutant counts as killed")
    parser.add_argument("--again", action="store_true", help="run the survivors once more")
    options = parser.parse_args()

    os.environ["COLUMNS"] = "200"  # of pytest, which shortens the names of tests otherwise
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out.resolve() / "results.jsonl"
    done = (
        {key(one): one for one in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
        if file.exists()
        else {}
    )
    every = {package: list(mutants(package)) for package in options.packages}
    if options.again:
        survivors = {name for name, one in done.items() if not one["killed"]}
        waiting = [one for package in every.values() for one in package if key(one) in survivors]
        for name in survivors - {key(one) for one in waiting}:
            print(f"left out  {done.pop(name)['module']}  this code is gone, or not of these packages")
    else:
        for package in every.values():
            random.Random(options.seed).shuffle(package)
        chosen = in_turn([package[: options.sample or None] for package in every.values()])
        done = {key(one): done[key(one)] for one in chosen if key(one) in done}
        waiting = [one for one in chosen if key(one) not in done]
    with (
        tempfile.TemporaryDirectory(prefix="ddmi-mutation-") as folder,
        ProcessPoolExecutor(options.jobs, initializer=work_in_a_copy, initargs=(Path(folder),)) as pool,
        file.open("a", encoding="utf-8") as sink,
    ):
        for tested, failed in pool.map(passing, sorted({one["package"] for one in waiting})):
            if failed:
                sys.exit(f"the tests of {tested} fail without a mutant: {failed}")
        for future in as_completed([pool.submit(outcome, one, options.timeout) for one in waiting]):
            result = future.result()
            place = f"{result['module']}:{result['line']}"
            if options.again and changed(result) != changed(done[key(result)]):
                print(f"left out  {place}  the code has changed since")
                del done[key(result)]
                continue
            done[key(result)] = result
            sink.write(json.dumps(result) + "\n")
            sink.flush()
            print(f"{'killed' if result['killed'] else 'SURVIVED'}  {place}  {result['by']}", flush=True)
    text = report(done.values(), {package: len(found) for package, found in every.items()})
    file.with_name("report.md").write_text(text, encoding="utf-8")
    print(text.split("\n\n")[0])


if __name__ == "__main__":
    main()
