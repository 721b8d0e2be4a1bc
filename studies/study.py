"""Compares settings of whole runs on an equal budget of processor time: `python studies/study.py studies/FILE.toml`.

A study is a file that names its arms, seeds, budget and figures; see `Study` and studies/README.md. The arms take
turns: one seed of all, then the next, each on one thread, so that a busy machine is fair to all. How many steps fit
into the budget is measured once, before the first run. A study that is started again continues: finished runs are
kept, and an unfinished one is resumed. Figures of finished seeds are written to `studies/FILE.json` as they come, and
from them the page `docs/results/FILE.md` with its plot. `--page` writes the page alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import cattrs
import torch
from attrs import frozen
from page import write_page
from results import Results, Trial

from ddmi_core.evaluation.results import Evaluation
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs.bench.bench import processor
from ddmi_core.runs.bench.training_speed import STAGES, blank_shape, objectives, step_times
from ddmi_core.settings.resolve import resolve

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
TABLES = ("autoencoder", "diffusion")  # of the settings of both stages
ROUNDS, PROBED = 3, 9  # rounds of timed steps over all arms, and steps of each
LEAST = 2  # steps of a stage without a share of the budget


@frozen
class Arm:
    """One of the ways that are compared.

    Args:
        about: what it is, and what was tuned, how often, on which data.
        settings: as for `--set`, after those of the study.
        like: another arm, whose settings come before its own; empty for none.
    """

    about: str
    settings: tuple[str, ...] = ()
    like: str = ""


@frozen
class Study:
    """A comparison.

    Args:
        title: of its page.
        question: what it answers, for the page.
        plugin: the domain.
        seconds: processor seconds of training of a run, of both stages together.
        share: of the seconds for stage 1; 1 for studies of reconstructions, 0 of samples.
        figures: names of figures of `metrics.json`, with what is good: `lower is better`, for example.
        arms: by name; the others are compared with the first.
        seeds: of the runs.
        preset: that all arms start from.
        data: of all arms, as for `--data`; empty for the domain's own.
        settings: of all arms, as for `--set`.
    """

    title: str
    question: str
    plugin: str
    seconds: float
    figures: dict[str, str]
    arms: dict[str, Arm]
    seeds: tuple[int, ...] = (0, 1, 2)
    share: float = 0.5
    preset: str = "quick"
    data: str = ""
    settings: tuple[str, ...] = ()

    def overrides(self, arm: str) -> list[str]:
        """The settings of an arm as values of `--set`."""
        own = self.arms[arm]
        return [*(self.overrides(own.like) if own.like else self.settings), *own.settings]


def read(path: Path) -> Study:
    """Read a study.

    Raises:
        SystemExit: if it is not a file of TOML with the fields of `Study`, with the file and the fault.
    """
    converter = cattrs.Converter(forbid_extra_keys=True)
    try:
        study = converter.structure(tomllib.loads(path.read_text(encoding="utf-8")), Study)
    except (OSError, ValueError) as error:
        sys.exit(f"{path} cannot be read as TOML: {error}")
    except cattrs.BaseValidationError as error:
        sys.exit(f"{path}: " + "; ".join(cattrs.transform_error(error)))
    if not study.arms or not study.seeds or not study.figures or not 0 <= study.share <= 1 or not study.seconds > 0:
        sys.exit(f"{path}: a study needs arms, seeds, figures, seconds above 0, and a share from 0 to 1")
    names: list[str] = []
    for name, arm in study.arms.items():
        if arm.like and arm.like not in names:
            sys.exit(f"{path}: arm {name!r} is like {arm.like!r}, which is no arm before it")
        names.append(name)
    return study


def steps_within(study: Study) -> dict[str, list[int]]:
    """The steps of both stages of each arm that take the budget, by their median processor time."""
    torch.set_num_threads(1)
    times: dict[str, list[list[float]]] = {arm: [[], []] for arm in study.arms}
    for _ in range(ROUNDS):
        for arm in study.arms:
            for number, seconds in enumerate(_timed(study, arm)):
                times[arm][number] += seconds
    shares = (study.share, 1 - study.share)
    return {
        arm: [
            max(LEAST, round(study.seconds * share / median(found))) if share else LEAST
            for share, found in zip(shares, stages, strict=True)
        ]
        for arm, stages in times.items()
    }


def _timed(study: Study, arm: str) -> list[list[float]]:
    """Processor seconds of some steps of both stages, of new networks and signals without content."""
    domain = domain_named(study.plugin)
    config = resolve(domain, preset=study.preset, overrides=[*study.overrides(arm), "diffusion.condition=none"])
    parts = build_parts(domain, config.domain)
    shape = blank_shape(parts, config)
    found = []
    for stage in STAGES:
        training, players = objectives(parts, config, stage, shape)
        if training.precision == "auto":
            sys.exit(f"{stage}.training.precision is auto, so speeds differ by machine. Fix: set it in the study")
        found.append(step_times(stage, players, training, training.precision, 0.0, PROBED, time.process_time))
    return found


def trained(study: Study, arm: str, seed: int, steps: Sequence[int], folder: Path) -> Trial:
    """Run an arm with a seed, or continue that run, and read its figures.

    Raises:
        SystemExit: if the run fails; the study goes on there when it is started again.
    """
    spent = folder.with_suffix(".seconds")
    if not (folder / "metrics.json").exists() or not spent.exists():
        command = [PYTHON, "-m", "ddmi_core", "run", "--plugin", study.plugin, "--out", str(folder)]
        if folder.exists():
            command += ["--resume"]
        else:
            lengths = [f"{table}.training.steps={n}" for table, n in zip(TABLES, steps, strict=True)]
            command += ["--preset", study.preset, "--seed", str(seed), *(["--data", study.data] if study.data else [])]
            sets = ["previews=0", *study.overrides(arm), *lengths]  # pictures would count as time of training
            command += [part for setting in sets for part in ("--set", setting)]
        before = _seconds_of_children()
        log = folder.with_suffix(".log")
        with log.open("a", encoding="utf-8") as lines:
            status = subprocess.run(command, stdout=lines, stderr=lines, env={**os.environ, "OMP_NUM_THREADS": "1"})
        earlier = float(spent.read_text()) if spent.exists() else 0.0
        spent.write_text(str(earlier + _seconds_of_children() - before))
        if status.returncode:
            sys.exit(f"{arm}, seed {seed}, stopped with status {status.returncode}: see {log}")
    figures = {figure.name: figure.value for figure in Evaluation.load(folder / "metrics.json").figures}
    if missing := study.figures.keys() - figures:
        sys.exit(f"{folder} has no figure {min(missing)}. Fix: name some of {', '.join(figures)}")
    real = {name: figures[f"{name}_of_real"] for name in study.figures if f"{name}_of_real" in figures}
    return Trial(arm, seed, tuple(steps), float(spent.read_text()), {n: figures[n] for n in study.figures}, real)


def _seconds_of_children() -> float:
    """Processor seconds of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def conduct(study: Study, work: Path, stored: Path) -> Results:
    """Run what is missing of a study, and store the figures of each finished run.

    Args:
        study: the study.
        work: the folder of its runs.
        stored: the file of the figures.
    """
    work.mkdir(parents=True, exist_ok=True)
    facts = json.dumps({key: value for key, value in attrs.asdict(study).items() if key not in ("title", "question")})
    planned = work / "steps.json"
    plan: Mapping[str, Any] = json.loads(planned.read_text()) if planned.exists() else {}
    if plan.get("study", facts) != facts:
        sys.exit(f"{work} has runs of the study as it was before it was changed. Fix: remove that folder")
    if not plan:
        plan = {"study": facts, "steps": steps_within(study)}
        planned.write_text(json.dumps(plan))
    trials: list[Trial] = []
    for seed in study.seeds:
        for arm in study.arms:
            trials.append(trained(study, arm, seed, plan["steps"][arm], work / f"{arm}-{seed}"))
            print(f"{arm}, seed {seed}: {trials[-1].seconds:.0f} s, {trials[-1].figures}", flush=True)
        Results(processor(), torch.__version__, tuple(trials)).save(stored)
    return Results.load(stored)


def main() -> None:
    """Read the command line, conduct the study, and write its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="file of the study")
    parser.add_argument("--work", type=Path, help="folder of its runs; runs/studies/NAME by default")
    parser.add_argument("--page", action="store_true", help="write the page from stored figures alone")
    arguments = parser.parse_args()
    study, name = read(arguments.study), arguments.study.stem
    stored = arguments.study.with_suffix(".json")
    if not arguments.page:
        conduct(study, arguments.work or ROOT / "runs" / "studies" / name, stored)
    write_page(study, Results.load(stored), ROOT / "docs" / "results", name)


if __name__ == "__main__":
    main()
