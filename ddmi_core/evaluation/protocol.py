"""Protocols of figures: how many samples, the reference set, and what a figure records."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import torch
from attrs import field, frozen

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.errors import RequestError
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.model.data import source_name
from ddmi_core.model.model import Model
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.settings.config import Sampling
from ddmi_core.training.objective import generator_for

DEFAULT = "default"
PAPER = "paper"
SEED = 1000  # of evaluation samples, different from the usual seeds of shown samples


@frozen
class Plan:
    """The sets of an evaluation.

    Args:
        name: of the protocol, `default` or `paper`.
        samples: number of samples.
        against: the set that samples are compared with: all training signals, or these held-out signals.
        held_out: indices of held-out signals.
        real: indices of training signals that are compared with held-out signals in place of samples.
        count: number of samples of the domain's own evaluations.
        notes: what of the paper's protocol is not followed, or is otherwise there.
    """

    name: str
    samples: int
    against: Literal["training", "held out"]
    held_out: tuple[int, ...] = field(repr=False)
    real: tuple[int, ...] = field(repr=False)
    count: int
    notes: tuple[str, ...] = ()

    def record(self, split: Split) -> dict[str, str]:
        """Protocol entries of the sets."""
        whole = f"all {len(split.train)} training signals"
        return {"reference": whole if self.against == "training" else self.part(split)}

    def part(self, split: Split) -> str:
        """The held-out signals in words."""
        n = len(self.held_out)
        return f"all {n} held-out signals" if n == len(split.held_out) else f"{n} held-out signals at random"


def default_plan(samples: int, split: Split) -> Plan:
    """Samples against equally many held-out signals; real signals are training signals, as many."""
    n = min(samples, len(split.held_out))
    held_out, real = random_signals("held out", split.held_out, n), random_signals("training", split.train, n)
    return Plan(DEFAULT, n, "held out", held_out, real, samples)


def paper_plan(parts: AnyParts, split: Split, networks: Sequence[str]) -> Plan:
    """The sets of the protocol of the domain's paper.

    Args:
        parts: the domain.
        split: the data.
        networks: names of the feature networks that are given.

    Raises:
        RequestError: if the domain declares no protocol of a paper.
    """
    found = parts.paper_protocol()
    if found is None:
        raise RequestError(
            f"domain {parts.domain.name!r} declares no protocol of a paper. Fix: leave out --protocol, or define "
            f"{type(parts).__name__}.paper_protocol"
        )
    notes = [f"protocol: {found.source}", *found.differences]
    if found.network and found.network not in networks:
        notes.append(
            f"no feature network {found.network!r} is given, so figures on its features are missing; give it by "
            f"--network {found.network}:PATH"
        )
    whole, held = len(split.train), len(split.held_out)
    if found.reference == "training":
        samples = found.samples or whole
        chosen = random_signals("held out", split.held_out, held)
    else:
        samples = min(found.samples or held, held)
        chosen = random_signals("held out", split.held_out, samples)
        if samples < found.samples:
            notes.append(f"the protocol takes {found.samples} held-out signals and samples; the data hold out {held}")
    real = random_signals("training", split.train, len(chosen))
    return Plan(PAPER, samples, found.reference, chosen, real, samples, tuple(notes))


def common_protocol(model: Model, split: Split, name: str = DEFAULT) -> dict[str, Any]:
    """Protocol entries of all figures of an evaluation: data, weights, what is measured, and versions.

    Args:
        model: the model.
        split: its data.
        name: of the protocol.
    """
    config = model.config
    averages = {"autoencoder": config.autoencoder.training.ema, "denoiser": config.diffusion.training.ema}
    return {
        "protocol": name,
        "data": split.fingerprint(),
        "source": source_name(model.parts, config.data),
        "averages": ", ".join(
            f"{stage}: {f'exponential moving average, decay {decay:g}' if decay else 'none'}"
            for stage, decay in averages.items()
        ),
        "drawn": drawn(model),
        "versions": {name: version(name) for name in ("ddmi", "torch", "numpy")},
    }


def sampling_protocol(model: Model) -> dict[str, Any]:
    """Protocol entries of samples: how they are drawn."""
    return Sampling(seed=SEED).filled(model.config.sampling)


def drawn(model: Model) -> str:
    """Size and format in which fields are measured."""
    renderer = model.renderer
    size = " x ".join(map(str, renderer.native)) if isinstance(renderer, GridRenderer) else "native"
    return f"size {size}, values in float32, no file"


def random_signals(purpose: str, signals: SignalSet, n: int) -> tuple[int, ...]:
    """Indices of `n` signals at random, in the order of the set; all if there are not more."""
    if n >= len(signals):
        return tuple(range(len(signals)))
    order = torch.randperm(len(signals), generator=generator_for(SEED, purpose))
    return tuple(sorted(order[:n].tolist()))
