"""A step of training and what follows it, once on initial weights, so that their errors are met before training."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.autoencoder.objective import ReconstructionObjective
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.errors import DataError, DdmiError, PluginError
from ddmi_core.evaluation.networks import feature_networks
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import LEAST_TRAIN, check_enough, source_name
from ddmi_core.model.initial import InitialWeights
from ddmi_core.model.latent_store import Encoding
from ddmi_core.model.memory import StageMemory, check_fits, free_on, kept_by
from ddmi_core.model.model import Model
from ddmi_core.nested import move, tensors
from ddmi_core.out_of_memory import is_out_of_memory, lowering
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.progress import doing
from ddmi_core.registry.extensions import part
from ddmi_core.runs.idle_settings import Read, Trial, augmented, check_settings_act
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import QUICK, resolve
from ddmi_core.training import distributed
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.objective import Objective, StepContext, generator_for

SIGNALS = 8  # of each set
SAMPLES = 4
DRAWS = 4  # of queries, until one is a patch
STEPS = 2  # of the sampler
POINTS = 1024
SECONDS = 8.0  # of CPU time, after which no further step starts
SEARCH = 120.0  # seconds of CPU time for the search of damaged signals
BATCH = 16
SLACK = 1e-3  # of the range of values
_SMALLER = (
    "lower the size of the signals in the settings of the domain, autoencoder.points, or the widths of the networks; "
    "ddmi doctor --plugin NAME, with the same --preset and --set, estimates the memory"
)


class Some(SignalSet):
    """The first signals of a set."""

    def __init__(self, signals: SignalSet, count: int) -> None:
        self.signals = signals
        self.names, self.classes, self.labels = list(signals.names)[:count], signals.classes, signals.labels[:count]
        self.captions = signals.captions[:count]

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """The same signals."""
        return self.signals.batch(indices, generator)

    def fingerprint(self) -> str:
        """The fingerprint of the whole set, with the number of signals."""
        return f"{self.signals.fingerprint()}{len(self)}"


def rehearse(
    parts: AnyParts,
    config: RunConfig,
    split: Split,
    vectors: latent_cache.Vectors | None,
    read: Read | None = None,
    initial: InitialWeights | None = None,
) -> list[str]:
    """A training step, features, metrics, evaluations, pictures and files, by a model with initial weights.

    All are those of few signals and samples. A setting that none of these has read cannot act.

    Random states are restored, and nothing else of a run depends on it.

    Args:
        parts: the domain.
        config: of the run.
        split: the data.
        vectors: the condition's vectors of the training signals; `None` without a condition.
        read: settings that are read, of `idle_settings.reading`; `None` to check no settings.
        initial: weights from which the run starts; `None` for random ones.

    Returns:
        notes for the user; empty if all is well.

    Raises:
        ConfigError: if a setting cannot act, or the memory does not suffice for the training.
        OutOfMemoryError: if it does not suffice for these few signals.
        DataError: if there are too few signals, or values of these signals are not finite.
        PluginError: if a step fails, with the place.
        DdmiError: an error that a step raises for the user.
    """
    check_enough(split, source_name(parts, config.data))
    parts = build_parts(parts.domain, config.domain)  # its own, because parts may hold what they have computed
    small = Split(Some(split.train, SIGNALS), Some(split.held_out, SIGNALS))
    started, device = time.process_time(), distributed.default_device()
    free = free_on(device)
    with undisturbed(), TemporaryDirectory(prefix="ddmi-rehearsal-") as folder:
        notes: list[str] = _step(parts, "sampling the first signals", partial(_values, parts, small))
        model, diffusion = _step(
            parts, "a model with initial weights", partial(untrained, parts, config, small, vectors, initial)
        )
        patches, autoencoder = _step(parts, "a training step", partial(_training_step, model, small))
        check_fits([autoencoder, diffusion], free, device)
        _step(parts, "sampling", partial(model.sample, 1))
        whole = False
        for what, step in _steps(model, small, Path(folder)):
            if time.process_time() - started > SECONDS:
                break
            _step(parts, what, step)
        else:
            whole = True
        if read is not None:
            random_data = config.diffusion.copies == 1 or augmented(split.train)
            trial = Trial(model=model, patches=patches, augmented=random_data, whole=whole)
            notes += check_settings_act(parts, config, read, trial, initial.settings.started() if initial else None)
    return notes


def try_metrics(parts: AnyParts, config: RunConfig, split: Split) -> None:
    """Metrics of one signal and its reconstruction by initial weights.

    Args:
        parts: the domain.
        config: of the run; its autoencoder gives way to that of the preset `quick`, which is the smallest.
        split: the data.

    Raises:
        DataError: if one of them cannot take the signals.
    """
    with undisturbed(), torch.no_grad():
        signal = split.train.batch([0])
        try:
            small = evolve(config, autoencoder=resolve(parts.domain, QUICK).autoencoder)
            autoencoder = build_autoencoder(parts, small).eval()
            fields = autoencoder.decode(autoencoder.encode(signal).mean)
        except (DdmiError, RuntimeError):
            return  # of another size than these signals need
        given = {name: part("metrics", name, parts.domain) for name in config.evaluation.metrics}
        steps: dict[str, Callable[[], object]] = {
            f"the metric {name!r}": partial(_measured, metric, fields, signal, parts.renderer)
            for name, metric in {**parts.metrics(), **given}.items()
        }
        for what, step in steps.items():
            try:
                step()
            except DdmiError:
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors(signal))
                raise DataError(
                    f"{what} cannot take these signals, of shapes {shapes}: {type(error).__name__}: {error}. Fix: "
                    "change the settings of sizes and channels, or leave it out of evaluation.metrics"
                ) from error


def _training_step(model: Model, split: Split) -> tuple[bool, StageMemory]:
    """The losses of stage 1 at its last step, when all terms act.

    Returns:
        Whether the sampler draws patches, and what training keeps in memory.
    """
    config = model.config
    training = config.autoencoder.training
    objectives = autoencoder_objectives(model.parts, config, model.autoencoder, split)
    main = objectives["autoencoder"]
    assert isinstance(main, ReconstructionObjective)
    few = tuple(range(min(len(split.train), LEAST_TRAIN)))
    for draw in range(DRAWS):

        def context(indices: tuple[int, ...] = few, draw: int = draw) -> StepContext:
            return StepContext(max(0, training.steps - 1), indices, generator_for(0, "draw", draw), model.device)

        patches = bool(main.draw(context())[2].patch)
        if patches:
            break
    kept = []
    for objective in objectives.values():
        objective.to(model.device)
        kept.append(_kept(objective, [context(few[:1]), context()], training))
    parameters = sum(weight.numel() for objective in objectives.values() for weight in objective.trained.parameters())
    # The objectives take turns, so only one's activations are in memory.
    return patches, StageMemory("autoencoder", training, parameters, max(kept, key=lambda pair: pair[1]))


def _kept(objective: Objective, contexts: Sequence[StepContext], training: TrainingConfig) -> tuple[int, int]:
    """Bytes that the losses of one, and of two signals keep for the gradients."""
    recompute = training.gradient_checkpointing
    one, two = (kept_by(partial(objective, context), objective, recompute) for context in contexts)
    return one, two


def untrained(
    parts: AnyParts,
    config: RunConfig,
    split: Split,
    vectors: latent_cache.Vectors | None,
    initial: InitialWeights | None = None,
) -> tuple[Model, StageMemory]:
    """The model of a run with initial weights, and few steps of its sampler, after losses of the denoiser.

    Returns:
        The model, and what the training of its denoiser keeps in memory.
    """
    device = distributed.default_device()
    config = evolve(config, sampling=evolve(config.sampling, steps=STEPS))
    autoencoder = build_autoencoder(parts, config)
    if initial:
        initial.load_autoencoder(autoencoder, config)
    autoencoder = autoencoder.eval().to(device)
    given = None if vectors is None else vectors[: len(split.train)]
    encoded = latent_cache.encode(autoencoder, split.train, Encoding(seed=config.seed), device, given)
    lengths = latent_cache.lengths_of(encoded.vectors)
    diffusion = build_diffusion(parts.domain, config, encoded.shape, len(encoded.classes), *lengths)
    if initial:
        initial.load_denoiser(diffusion, config, encoded.classes)
    diffusion = diffusion.to(device)
    conditions = encoded.vectors if any(lengths) else encoded.labels
    stage = _denoiser_memory(DenoisingObjective(diffusion, latent_cache.CachedLatents(encoded), conditions), config)
    model = Model(
        parts=parts,
        config=config,
        autoencoder=autoencoder,
        diffusion=diffusion.eval(),
        normalisation=encoded.normalisation,
        classes=tuple(encoded.classes),
        counts=tuple([1] * len(encoded.classes)),
        vectors=latent_cache.kept_vectors(encoded) if any(lengths) else torch.zeros(0, 0),
        device=device,
        weak=diffusion if config.diffusion.training.snapshot else None,
    )
    return model, stage


def check_denoiser(objective: DenoisingObjective, config: RunConfig) -> None:
    """Losses of few latents of a resumed run, whose trial before training is over, to compare memory.

    Random states are restored.

    Args:
        objective: with weights that are not used any further.
        config: of the run.

    Raises:
        ConfigError: if the memory does not suffice for the training.
        OutOfMemoryError: if it does not suffice for these few latents.
    """
    device = distributed.default_device()
    free = free_on(device)
    with undisturbed(), lowering("the trial before the training of the denoiser", _SMALLER):
        check_fits([_denoiser_memory(objective.to(device), config)], free, device)


def _denoiser_memory(objective: DenoisingObjective, config: RunConfig) -> StageMemory:
    """What the training of a denoiser keeps in memory; its objective is on the device."""
    contexts = [
        StepContext(0, tuple(range(count)), generator_for(config.seed, "rehearsal"), distributed.default_device())
        for count in (1, LEAST_TRAIN)
    ]
    kept = _kept(objective, contexts, config.diffusion.training)
    parameters = sum(weight.numel() for weight in objective.trained.parameters())
    return StageMemory("diffusion", config.diffusion.training, parameters, kept)


def damaged(signals: SignalSet) -> str:
    """Name of the first signal with values that are not finite; empty if none is found within a time limit."""
    started = time.process_time()
    for index, name in enumerate(signals.names):
        if not all(bool(tensor.isfinite().all()) for tensor in tensors(signals.batch([index]))):
            return name
        if time.process_time() - started > SEARCH:
            break
    return ""


def _steps(model: Model, split: Split, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Cheap steps first; what a run itself does, before the file types that only requests use."""
    parts = model.parts
    signal = split.train.batch([0])
    truth = move(signal, model.device)
    fields = model.reconstruct(truth)
    yield "comparing field_features and signal_features", partial(_features, model, fields, truth)
    for network in feature_networks(model)[1:]:
        yield f"the feature network {network.name!r}", partial(_described, network, fields, truth, parts.renderer)
    given = {name: part("metrics", name, parts.domain) for name in model.config.evaluation.metrics}
    for name, metric in {**parts.metrics(), **given}.items():
        yield f"the metric {name!r}", partial(_measured, metric, fields, truth, parts.renderer)
    artefacts = {
        "render": _step(parts, "render", partial(parts.renderer.render, fields[0])),
        "original": _step(parts, "ground_truth", partial(parts.ground_truth, signal, 0)),
    }
    first, *others = parts.exporters().items()
    yield from _written(parts, artefacts, folder, [first])
    for what, artefact in artefacts.items():
        yield f"picture of the {what}", partial(parts.picture, artefact)
    yield "report_views", parts.report_views
    for name, evaluation in parts.evaluations().items():
        yield f"the evaluation {name!r}", partial(_evaluated, evaluation, model, split)
    yield from _written(parts, artefacts, folder, others)


def _written(
    parts: AnyParts,
    artefacts: dict[str, Any],
    folder: Path,
    exporters: Iterable[tuple[str, Callable[[Any, Path], None]]],
) -> Iterator[tuple[str, Callable[[], object]]]:
    for suffix, export in exporters:
        for what, artefact in artefacts.items():
            path = folder / f"{what}{suffix}"
            yield f"the exporter {suffix!r} of the {what}", partial(_restored_file, parts, export, artefact, path)


def _restored_file(parts: AnyParts, export: Callable[[Any, Path], None], artefact: Any, path: Path) -> None:
    export(parts.restored(artefact, (), path.suffix), path)


@torch.no_grad()
def _features(model: Model, fields: Any, signal: Any) -> None:
    found, wanted = model.parts.field_features(fields), model.parts.signal_features(signal)
    if found.ndim != 2 or found.shape != wanted.shape:
        raise ValueError(
            f"they return shapes {tuple(found.shape)} and {tuple(wanted.shape)}; both must be (signals, features)"
        )


@torch.no_grad()
def _described(network: FeatureNetwork, fields: Any, signal: Any, renderer: Any) -> None:
    network.of_fields(fields, renderer)
    network.of_signals(signal)


def _measured(metric: Callable[..., Any], *arguments: Any) -> None:
    found = metric(*arguments)
    if not isinstance(found, Tensor) or found.shape != (1,):
        shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise TypeError(f"it returns {shape}; it must return a tensor (B,), here (1,)")


def _evaluated(evaluation: Callable[..., Any], model: Model, split: Split) -> None:
    for figure in evaluation(model, split, SAMPLES, 0):
        if not isinstance(figure.value, int | float):
            raise TypeError(f"the value of {figure.name!r} is a {type(figure.value).__name__}, not a number")


def _step(parts: AnyParts, what: str, step: Callable[[], Any]) -> Any:
    """The result of a step.

    Raises:
        OutOfMemoryError: if the memory does not suffice.
        PluginError: if it raises another exception than a DdmiError.
    """
    try:
        with doing(what), lowering(f"the trial before training ({what})", _SMALLER):
            return step()
    except DdmiError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not {"ddmi_core", "torch"} & set(Path(frame.filename).parts)]
        place = (own or frames)[-1]
        raise PluginError(
            f"domain {parts.domain.name!r}: {what} fails, as a trial with initial weights shows before training: "
            f"{type(error).__name__}: {error} ({place.filename}:{place.lineno}). Fix: correct it there, and see "
            f"`ddmi plugins test {parts.domain.name}`"
        ) from error


def _values(parts: AnyParts, split: Split) -> list[str]:
    """Check the values of few signals against the domain's limits.

    Raises:
        DataError: if values are not finite.
    """
    for signals in (split.train, split.held_out):
        if name := damaged(signals):
            raise DataError(f"signal {name!r} has values that are not finite. Fix: remove or repair it")
    signal = split.train.batch(range(len(split.train)))
    queries = parts.sampler.sample(signal, POINTS, generator_for(0, "rehearsal"))
    known = queries.targets[(queries.weights > 0).expand(queries.targets.shape[:2])]
    low, high = parts.limits()
    slack = SLACK * (high - low)
    if not known.numel() or (float(known.min()) >= low - slack and float(known.max()) <= high + slack):
        return []
    return [
        f"values of the data reach from {float(known.min()):.3g} to {float(known.max()):.3g}, and the domain's limits "
        f"are {low:g} to {high:g}; scale the values when signals are read, or give the renderer other limits"
    ]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore the global random states afterwards."""
    ours, arrays = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(arrays)
