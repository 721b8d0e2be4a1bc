"""Evaluation of a run: metrics of held-out reconstructions, and distances of samples to the data."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from attrs import evolve

from ddmi_core.api.evaluation import FeatureNetwork, Figure
from ddmi_core.api.signals import Split
from ddmi_core.errors import CheckpointError, DataError, DdmiWarning
from ddmi_core.evaluation.feature_sets import describe_signals
from ddmi_core.evaluation.networks import check_networks, clip_score_figures, feature_networks
from ddmi_core.evaluation.networks.programs import check_programs, programs_of
from ddmi_core.evaluation.protocol import (
    PAPER,
    SEED,
    Plan,
    common_protocol,
    default_plan,
    paper_plan,
    sampling_protocol,
)
from ddmi_core.evaluation.reconstructions import reconstruction_figures
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.samples import ObservedModel, forget_parts, samples_of
from ddmi_core.evaluation.set_figures import LEAST, FeatureSets, copying_figure, set_figures
from ddmi_core.model.data import load_data
from ddmi_core.model.folder_lock import locked
from ddmi_core.model.loading import load
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder, check_extensions, read_head
from ddmi_core.model.run_results import FIGURES, PAPER_FIGURES, record, status
from ddmi_core.out_of_memory import lowering
from ddmi_core.progress import doing
from ddmi_core.registry.consent import give_consent
from ddmi_core.settings.config import RunConfig
from ddmi_core.training import distributed

_SMALLER = "lower evaluation.samples and evaluation.held_out, or leave out networks of evaluation.networks"


def evaluate_run(
    run: Path,
    plugin: str | None = None,
    *,
    protocol: Literal["", "paper"] = "",
    networks: Sequence[str] = (),
) -> Evaluation:
    """Evaluate a finished run again and write its `metrics.json`, or `metrics-paper.json`.

    An interrupted evaluation goes on where it stopped. In a data-parallel program every process calls it; all draw
    samples, and the main process writes the figures.

    Args:
        run: the run folder.
        plugin: as for `load` with a run.
        protocol: `paper` for that of the domain's paper.
        networks: feature networks as in `evaluation.networks`, in place of those of the run; empty for these.

    Raises:
        CheckpointError: if the run is not finished.
        DataError: if its data are missing or have changed, or a network cannot be used.
        ConfigError: if a network does not fit the domain, or two have the same name.
        PluginError: if an extension that it uses is missing, or the run names a network that is a program, which the
            user has never named.
        RequestError: if the domain declares no protocol of a paper, or a network has an unknown kind.
        OutputError: if another process writes into the folder, or it cannot be written.
    """
    folder = RunFolder(run)
    model, split = load_checked(folder, plugin, networks)
    place = folder.paper_metrics if protocol == PAPER else folder.metrics
    with locked(run):
        result = measure(model, split, folder=folder, paper=protocol == PAPER)
        return distributed.on_main(lambda: keep(result, place, folder, model.config))


def load_checked(folder: RunFolder, plugin: str | None, networks: Sequence[str] = ()) -> tuple[Model, Split]:
    """The model and the data of a run, for evaluations, with other feature networks if there are some.

    Raises:
        DdmiError: as `evaluate_run`.
    """
    model = load(folder.path, plugin=plugin)
    if networks:
        config = model.config
        model = evolve(model, config=evolve(config, evaluation=evolve(config.evaluation, networks=tuple(networks))))
        for path in programs_of(model.config.evaluation):
            give_consent(path)
    check_programs(model.config, folder.path)
    check_extensions(folder, model.domain)
    model.parts.preflight()
    check_networks(model.parts, model.config.evaluation)
    split = distributed.main_first(lambda: load_data(model.parts, model.config.data))
    check_data(folder, split)
    return model, split


def keep(result: Evaluation, place: Path, folder: RunFolder, config: RunConfig) -> Evaluation:
    """Store figures, and return what is stored.

    The table of samplers, which another command makes, stays if it is up to date; otherwise a warning says that it is
    left out.

    Raises:
        OutputError: if the file cannot be written.
    """
    name = FIGURES if place == folder.metrics else PAPER_FIGURES
    with suppress(CheckpointError):  # none yet, or damaged
        if table := Evaluation.load(place).samplers:
            if (found := status(folder, name)).state == "up to date":
                result = evolve(result, samplers=table)
            else:
                warnings.warn(
                    f"the table of samplers in {place} is {found.shown}, so it is left out. Fix: measure it again with "
                    f"ddmi evaluate {shlex.quote(str(folder.path))} --sweep",
                    DdmiWarning,
                    stacklevel=2,
                )
    result.save(place)
    record(folder, name, [place], config)
    forget_parts(folder)
    return result


def check_data(folder: RunFolder, split: Split) -> None:
    """Check that the data are the training data of the run.

    Raises:
        DataError: if they have changed.
    """
    stored, found = read_head(folder).fingerprint, split.fingerprint()
    if stored != found:
        raise DataError(
            f"the data have changed since {folder.path} was started (fingerprint {found[:12]}, was {stored[:12]}); "
            "restore them, or start a new run"
        )


def measure(model: Model, split: Split, *, folder: RunFolder | None = None, paper: bool = False) -> Evaluation:
    """All figures of a model on a split; deterministic for model, data and seed.

    Every process of a data-parallel program calls it.

    Args:
        model: the model.
        split: its data.
        folder: keeps the features of samples until the evaluation is finished; `None` to keep none.
        paper: follow the protocol of the domain's paper.

    Raises:
        DataError: if no signal is held out.
        RequestError: if the domain declares no protocol of a paper.
        OutOfMemoryError: if the memory does not suffice.
    """
    with lowering("the evaluation", _SMALLER):
        return _measured(model, split, folder, paper)


def _measured(model: Model, split: Split, folder: RunFolder | None, paper: bool) -> Evaluation:
    """See `measure`."""
    networks, settings = feature_networks(model), model.config.evaluation
    plan = (
        paper_plan(model.parts, split, [network.name for network in networks])
        if paper
        else default_plan(settings.samples, split)
    )
    common = common_protocol(model, split, plan.name)
    figures = reconstruction_figures(model, networks, split, common)
    with samples_of(model, networks, SEED, folder) as samples:
        if min(plan.samples, len(plan.held_out)) >= LEAST:
            for network, rows in zip(networks, samples.features(plan.samples), strict=True):
                training = describe_signals(network, split.train, None, together=True)
                held_out = describe_signals(network, split.held_out, plan.held_out, together=True)
                work = partial(_distances, model, split, network, plan, common, FeatureSets(rows, training, held_out))
                with doing(f"distances of {network.name} features"):
                    figures += distributed.on_main(work)
        texts = {**common, **sampling_protocol(model)}
        observed = ObservedModel.of(model, samples)
        figures += distributed.on_main(lambda: clip_score_figures(observed, networks, split, plan.count, SEED, texts))
        figures += distributed.on_main(lambda: list(_own(observed, split, plan, common)))
    return Evaluation(tuple(figures), notes=plan.notes)


def _distances(
    model: Model, split: Split, network: FeatureNetwork, plan: Plan, common: Mapping[str, Any], sets: FeatureSets
) -> list[Figure]:
    """Figures of samples and of real signals in the features of a network."""
    against_training = plan.against == "training"
    reference = sets.training if against_training else sets.held_out
    pictures = len(sets.training) // len(split.train)  # of each signal, that the network sees
    chosen = [number * pictures + own for number in plan.real for own in range(pictures)]
    real = sets.held_out if against_training else sets.training[chosen]
    entries = {**common, **plan.record(split), "network": {"name": network.name, **network.record}, "seed": SEED}
    if pictures > 1:
        entries["pictures of each signal"] = pictures
    sampled = {**entries, "n": plan.samples, **sampling_protocol(model)}
    kind = plan.part(split) if against_training else f"{len(plan.real)} training signals at random"
    figures = list(set_figures(network.name, sets.samples, reference, SEED, sampled))
    of_real = {**entries, "n": len(real) // pictures, "signals": kind}
    figures += set_figures(network.name, real, reference, SEED, of_real, real=True)
    copied = {**sampled, "reference": f"all {len(split.train)} training signals", "compared with": plan.part(split)}
    figures.append(copying_figure(network.name, sets, SEED, copied))
    # Intervals take rows for independent, which several pictures of one signal are not.
    return figures if pictures == 1 else [evolve(figure, interval=None) for figure in figures]


def _own(observed: ObservedModel, split: Split, plan: Plan, common: Mapping[str, Any]) -> Iterator[Figure]:
    """Figures of the domain's own evaluations."""
    for name, evaluation in observed.parts.evaluations().items():
        observed.drawn.clear()
        with doing(name):
            found = list(evaluation(observed, split, plan.count, SEED))
        sampling = observed.sampling()
        for figure in found:
            yield evolve(figure, protocol={**common, **sampling, **figure.protocol})
