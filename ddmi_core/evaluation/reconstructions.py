"""Figures of reconstructions of held-out signals: metrics of pairs, and Fréchet distances to the originals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.evaluation import RECONSTRUCTION, Estimate, FeatureNetwork, Figure
from ddmi_core.api.signals import Split
from ddmi_core.errors import DataError
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.feature_sets import batches, describe_signals
from ddmi_core.evaluation.networks import perceptual_distance
from ddmi_core.evaluation.progress import Tell, silent
from ddmi_core.evaluation.set_figures import LEAST, NAMED
from ddmi_core.model.model import Model
from ddmi_core.nested import move
from ddmi_core.registry.extensions import part
from ddmi_core.settings.config import LPIPS


@torch.no_grad()
def reconstruction_figures(
    model: Model,
    networks: Sequence[FeatureNetwork],
    split: Split,
    common: Mapping[str, Any],
    tell: Tell = silent,
) -> Iterator[Figure]:
    """The metrics of the domain and of extensions, LPIPS if there is a network, and a Fréchet distance by each network.

    Metrics are means over signals, with their interval. The Fréchet distances compare the set of reconstructions with
    the set of their originals: `rfid_inception`, `rfvd_i3d`, `reconstruction_frechet_NETWORK`.

    Args:
        model: the model.
        networks: the feature networks.
        split: the data, of which the first `evaluation.held_out` held-out signals are reconstructed.
        common: protocol entries of all figures.
        tell: reports the progress.

    Raises:
        DataError: if no signal is held out.
    """
    settings, held = model.config.evaluation, split.held_out
    metrics: dict[str, Any] = dict(model.parts.metrics())
    metrics |= {name: part("metrics", name, model.domain) for name in settings.metrics}
    records: dict[str, dict[str, Any]] = {}
    if learned := perceptual_distance(model.parts, model.config, model.device):
        metrics[LPIPS], records[LPIPS] = learned, {"network": learned.record}
    values: dict[str, list[Tensor]] = {name: [] for name in metrics}
    rows: list[list[Tensor]] = [[] for _ in networks]
    n = min(len(held), settings.held_out)
    if not n:
        raise DataError("no signal is held out, so reconstructions cannot be evaluated")
    for indices, signal in batches(held, n):
        tell("held-out reconstructions", indices.start, n)
        truth = move(signal, model.device)
        fields = model.reconstruct(truth)
        for name, metric in metrics.items():
            values[name].append(metric(fields, truth, model.renderer).cpu())
        for network, own in zip(networks, rows, strict=True):
            own.append(network.of_fields(fields, model.renderer).cpu().float())
    kind = f"all {n} held-out signals" if n == len(held) else f"the first {n} of {len(held)} held-out signals"
    protocol = {**common, "n": n, "signals": f"reconstructions of {kind}", "latent": "posterior mean, without noise"}
    pairs = {**protocol, "reference": "the original of each"}
    for name, parts in values.items():
        yield Estimate.mean(torch.cat(parts)).figure(f"{RECONSTRUCTION}{name}", {**pairs, **records.get(name, {})})
    if n < LEAST:
        return
    for network, own in zip(networks, rows, strict=True):
        made, real = torch.cat(own), describe_signals(network, held, range(n), tell)
        entries = {**protocol, "reference": kind, "network": {"name": network.name, **network.record}}
        about = "Fréchet distance of reconstructions to their originals; lower is better"
        yield Figure(_name(network.name), frechet(made, real), entries, about)


def _name(network: str) -> str:
    """Name of the Fréchet distance of reconstructions."""
    return f"r{NAMED[network]}_{network}" if network in NAMED else f"{RECONSTRUCTION}frechet_{network}"
