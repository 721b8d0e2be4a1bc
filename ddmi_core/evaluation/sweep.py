"""The table of samplers and steps: their cost, and the distance of their samples to held-out signals."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from attrs import evolve

from ddmi_core.api.signals import Split
from ddmi_core.diffusion.samplers import evaluations
from ddmi_core.errors import CheckpointError, DataError
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.evaluate import load_checked
from ddmi_core.evaluation.feature_sets import describe_latents, describe_signals
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.evaluation.protocol import SEED, common_protocol, default_plan, sampling_protocol
from ddmi_core.evaluation.results import Evaluation, SamplerFigure
from ddmi_core.evaluation.set_figures import LEAST
from ddmi_core.model.folder_lock import locked
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import FIGURES, record, status
from ddmi_core.out_of_memory import lowering
from ddmi_core.progress import tracked
from ddmi_core.settings.config import Sampling, sampler_and_steps


def sweep_run(run: Path, plugin: str | None = None) -> Evaluation:
    """Measure the samplers and steps of `evaluation.grid`, and add the table to the `metrics.json` of a run.

    Args:
        run: the folder of an evaluated run.
        plugin: as for `load` with a run.

    Raises:
        CheckpointError: if the run is not finished, or its figures are missing, stale or damaged.
        DataError: if its data are missing or have changed, or fewer than two signals are held out.
        PluginError: if an extension that it uses is missing.
        OutputError: if another process writes into the folder, or it cannot be written.
        OutOfMemoryError: if the memory does not suffice.
    """
    folder = RunFolder(run)
    Evaluation.load(folder.metrics)
    if (found := status(folder, FIGURES)).state != "up to date":
        raise CheckpointError(
            f"{folder.metrics} is {found.shown}, and the table of samplers would be added to it. Fix: measure its "
            f"figures again with ddmi evaluate {shlex.quote(str(run))}"
        )
    model, split = load_checked(folder, plugin)
    with locked(run), lowering("the table of samplers", "lower evaluation.samples"):
        kept = Evaluation.load(folder.metrics)
        result = evolve(kept, samplers=tuple(sweep(model, split)))
        result.save(folder.metrics)
        record(folder, FIGURES, [folder.metrics], model.config)
    return result


def sweep(model: Model, split: Split) -> Iterator[SamplerFigure]:
    """Yield a row for each sampler and number of steps of `evaluation.grid`.

    Raises:
        DataError: if fewer than two signals are held out.
    """
    plan, network = default_plan(model.config.evaluation.samples, split), DomainFeatures(model.parts)
    if plan.samples < LEAST:
        raise DataError(f"the table of samplers requires {LEAST} held-out signals; the data hold out {plan.samples}")
    reference = describe_signals(network, split.held_out, plan.held_out)
    entries = {
        **common_protocol(model, split),
        **plan.record(split),
        "n": plan.samples,
        "network": {"name": network.name, **network.record},
        **sampling_protocol(model),
    }
    rows = model.config.evaluation.grid
    for entry in tracked("samplers", rows):
        sampler, steps = sampler_and_steps(entry)
        started = _clock(model.device)
        flat = model.sample_latents(plan.samples, Sampling(seed=SEED, sampler=sampler, steps=steps))
        seconds = round(_clock(model.device) - started, 2)
        value = frechet(describe_latents(network, model, flat), reference)
        protocol = {**entries, "sampler": sampler, "steps": steps}
        yield SamplerFigure(sampler, steps, evaluations(sampler, steps), seconds, value, protocol)


def _clock(device: torch.device) -> float:
    """Seconds, after all pending work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
