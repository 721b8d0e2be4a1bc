"""Evaluation of a run: metrics of held-out reconstructions, and distances of samples to the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.api.evaluation import HELD_OUT, RECONSTRUCTION, SAMPLES, FeatureNetwork, Figure
from ddmi_core.api.signals import SignalSet, Split, move
from ddmi_core.diffusion.samplers import evaluations
from ddmi_core.errors import DataError
from ddmi_core.evaluation.networks import check_networks, feature_networks
from ddmi_core.evaluation.results import Evaluation, SamplerFigure
from ddmi_core.model.data import load_data, source_name
from ddmi_core.model.model import Model, load
from ddmi_core.model.run_folder import RunFolder, check_extensions, read_head
from ddmi_core.parts.distance import frechet
from ddmi_core.registry.extensions import part
from ddmi_core.settings.config import Sampling, sampler_and_steps

BATCH = 32
_DISTANCES = {"inception": "fid", "i3d": "fvd"}  # names that papers give the Fréchet distance
_NEAR = "distance of samples to the training signals; lower is better"
SEED = 1000  # of evaluation samples, different from the usual seeds of shown samples


def evaluate_run(run: Path, plugin: str | None = None) -> Evaluation:
    """Evaluate a finished run again and write its `metrics.json`.

    Args:
        run: the run folder.
        plugin: as for `load` with a run.

    Raises:
        CheckpointError: if the run is not finished.
        DataError: if its data are missing or have changed.
        PluginError: if an extension that it uses is missing.
    """
    folder = RunFolder(run)
    model = load(run, plugin=plugin)
    check_extensions(folder, model.domain)
    model.parts.preflight()
    check_networks(model.parts, model.config.evaluation)
    split = load_data(model.parts, model.config.data)
    check_data(folder, split)
    result = measure(model, split)
    result.save(folder.metrics)
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


def measure(model: Model, split: Split, progress: Callable[[str], None] = lambda what: None) -> Evaluation:
    """All figures of a model on a split; deterministic for model, data and seed, except the seconds."""
    settings = model.config.evaluation
    common = {
        "data": split.fingerprint(),
        "source": source_name(model.parts, model.config.data),
        "versions": {name: version(name) for name in ("ddmi", "torch")},
    }
    progress("held-out reconstructions")
    figures = list(_reconstruction(model, split, common))
    features, *others = feature_networks(model)
    reference = describe_signals(features, split.train)
    samples, own = settings.samples, model.config.sampling
    distance = {
        **common,
        **features.record,
        "samples": samples,
        "reference": f"{len(split.train)} training signals",
        "seed": SEED,
        "guidance": own.guidance,
    }
    if len(split.held_out) >= 2:
        floor = frechet(describe_signals(features, split.held_out), reference)
        protocol = {**distance, "samples": len(split.held_out)}
        figures.append(Figure(HELD_OUT, floor, protocol))
    rows = []
    for entry in settings.grid:
        sampler, steps = sampler_and_steps(entry)
        progress(f"{sampler}, {steps} steps")
        started = _clock(model.device)
        flat = model.sample_latents(samples, Sampling(seed=SEED, sampler=sampler, steps=steps))
        seconds = _clock(model.device) - started
        value = frechet(describe_latents(features, model, flat), reference)
        rows.append(SamplerFigure(sampler, steps, evaluations(sampler, steps), round(seconds, 2), value))
    progress("samples")
    chosen = next((row for row in rows if (row.sampler, row.steps) == (own.sampler, own.steps)), None)
    if chosen is None:
        flat = model.sample_latents(samples, Sampling(seed=SEED))
        value = frechet(describe_latents(features, model, flat), reference)
    else:
        value = chosen.distance
    figures.append(Figure(SAMPLES, value, {**distance, "sampler": own.sampler, "steps": own.steps}))
    for network in others:
        flat = model.sample_latents(samples, Sampling(seed=SEED))
        value = frechet(describe_latents(network, model, flat), describe_signals(network, split.train))
        protocol = {**distance, **network.record, "features": network.name, "sampler": own.sampler, "steps": own.steps}
        figures.append(Figure(f"{_DISTANCES.get(network.name, 'frechet')}_{network.name}", value, protocol, _NEAR))
    observed = _Observed.of(model)
    for name, evaluation in model.parts.evaluations().items():
        progress(name)
        observed.drawn.clear()
        found = list(evaluation(observed, split, samples, SEED))
        sampling = observed.sampling()
        figures += [evolve(figure, protocol={**common, **sampling, **figure.protocol}) for figure in found]
    return Evaluation(tuple(figures), tuple(rows))


class _Observed(Model):
    """A model that records how an evaluation draws samples."""

    drawn: list[dict[str, Any]]  # options of each batch

    @staticmethod
    def of(model: Model) -> _Observed:
        """The same model, observed."""
        observed = object.__new__(_Observed)
        observed.__dict__.update(model.__dict__, drawn=[])
        return observed

    def sampling(self) -> dict[str, Any]:
        """Sampler, steps and guidance of the samples; empty if there are none, or if they differ."""
        return self.drawn[0] if self.drawn and all(used == self.drawn[0] for used in self.drawn) else {}

    def denoised(
        self, noise: Tensor, given: Tensor, numbers: Sequence[int], sampling: Sampling, callback: Any = None
    ) -> Tensor:
        """As `Model.denoised`."""
        own = self.config.sampling
        guidance = own.guidance if sampling.guidance is None else sampling.guidance
        used = {"sampler": sampling.sampler or own.sampler, "steps": sampling.steps or own.steps, "guidance": guidance}
        self.drawn.append(used)
        return super().denoised(noise, given, numbers, sampling, callback)


def describe_signals(features: FeatureNetwork, signals: SignalSet) -> Tensor:
    """Features of all signals of a set: `(len, F)`."""
    return torch.cat([features.of_signals(signal).cpu() for _, signal in batches(signals, len(signals))])


@torch.no_grad()
def describe_latents(features: FeatureNetwork, model: Model, flat: Tensor) -> Tensor:
    """Features of the fields of latents `(n, L)`: `(n, F)`."""
    parts = (model.decode(model.shape.unpack(part)) for part in torch.split(flat, BATCH))
    return torch.cat([features.of_fields(fields, model.renderer).cpu() for fields in parts])


def batches(signals: SignalSet, most: int) -> Iterator[tuple[range, Any]]:
    """Yield batches of the first signals of a set with their indices, without augmentation."""
    count = min(most, len(signals))
    for start in range(0, count, BATCH):
        indices = range(start, min(start + BATCH, count))
        yield indices, signals.batch(indices)


@torch.no_grad()
def _reconstruction(model: Model, split: Split, common: dict[str, Any]) -> Iterator[Figure]:
    metrics = dict(model.parts.metrics())
    metrics |= {name: part("metrics", name, model.domain) for name in model.config.evaluation.metrics}
    values: dict[str, list[Tensor]] = {name: [] for name in metrics}
    count = 0
    for indices, signal in batches(split.held_out, model.config.evaluation.held_out):
        truth = move(signal, model.device)
        fields = model.reconstruct(truth)
        count += len(indices)
        for name, metric in metrics.items():
            values[name].append(metric(fields, truth, model.renderer).cpu())
    if not count:
        raise DataError("no signal is held out, so reconstructions cannot be evaluated")
    protocol = {**common, "n": count, "signals": "held out", "size": "native", "latent": "posterior mean"}
    for name, parts in values.items():
        yield Figure(f"{RECONSTRUCTION}{name}", float(torch.cat(parts).mean()), protocol)


def _clock(device: torch.device) -> float:
    """Seconds, after all pending work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
