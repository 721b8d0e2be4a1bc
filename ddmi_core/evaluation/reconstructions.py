"""Figures of reconstructions of held-out signals: metrics of pairs, and Fréchet distances to the originals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.evaluation import RECONSTRUCTION, Estimate, FeatureNetwork, Figure
from ddmi_core.api.signals import Split
from ddmi_core.errors import DataError
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.feature_sets import BATCH, describe_signals
from ddmi_core.evaluation.networks import perceptual_distance
from ddmi_core.evaluation.set_figures import LEAST, NAMED
from ddmi_core.model.model import Model
from ddmi_core.nested import move
from ddmi_core.progress import tracked
from ddmi_core.registry.extensions import part
from ddmi_core.settings.config import LPIPS
from ddmi_core.training import distributed


@torch.no_grad()
def reconstruction_figures(
    model: Model,
    networks: Sequence[FeatureNetwork],
    split: Split,
    common: Mapping[str, Any],
) -> list[Figure]:
    """The metrics of the domain and of extensions, LPIPS if there is a network, and a Fréchet distance by each network.

    Metrics are means over signals, with their interval. The Fréchet distances compare the set of reconstructions with
    the set of their originals: `rfid_inception`, `rfvd_i3d`, `reconstruction_frechet_NETWORK`. Every process of a
    data-parallel program calls it, and reconstructs its share.

    Args:
        model: the model.
        networks: the feature networks.
        split: the data, of which the first `evaluation.held_out` held-out signals are reconstructed.
        common: protocol entries of all figures.

    Raises:
        DataError: if no signal is held out.
    """
    settings, held = model.config.evaluation, split.held_out
    metrics: dict[str, Any] = dict(model.parts.metrics())
    metrics |= {name: part("metrics", name, model.domain) for name in settings.metrics}
    records: dict[str, dict[str, Any]] = {}
    if learned := perceptual_distance(model.parts, model.config, model.device):
        metrics[LPIPS], records[LPIPS] = learned, {"network": learned.record}
    n = min(len(held), settings.held_out)
    if not n:
        raise DataError("no signal is held out, so reconstructions cannot be evaluated")
    parts = [range(start, min(start + BATCH, n)) for start in range(0, n, BATCH)]

    def own(numbers: Sequence[int]) -> dict[int, list[Tensor]]:
        """Values of the metrics, then features of the networks, of the reconstructions in each part."""
        found = {}
        for number in tracked("held-out reconstructions", numbers):
            truth = move(held.batch(parts[number]), model.device)
            fields = model.reconstruct(truth)
            values = [metric(fields, truth, model.renderer).cpu() for metric in metrics.values()]
            rows = [network.of_fields(fields, model.renderer).cpu().float() for network in networks]
            found[number] = [*values, *rows]
        return found

    shares = distributed.from_all(lambda: own(distributed.share(range(len(parts)))))
    every = {number: row for each in shares for number, row in each.items()}
    columns = [torch.cat(column) for column in zip(*(every[number] for number in range(len(parts))), strict=True)]
    kind = f"all {n} held-out signals" if n == len(held) else f"the first {n} of {len(held)} held-out signals"
    protocol = {**common, "n": n, "signals": f"reconstructions of {kind}", "latent": "posterior mean, without noise"}
    pairs = {**protocol, "reference": "the original of each"}
    figures = [
        Estimate.mean(values).figure(f"{RECONSTRUCTION}{name}", {**pairs, **records.get(name, {})})
        for name, values in zip(metrics, columns, strict=False)
    ]
    if n < LEAST:
        return figures
    for network, made in zip(networks, columns[len(metrics) :], strict=True):
        real = describe_signals(network, held, range(n), together=True)
        entries = {**protocol, "reference": kind, "network": {"name": network.name, **network.record}}
        about = "Fréchet distance of reconstructions to their originals; lower is better"
        distance = distributed.on_main(partial(frechet, made, real))
        figures.append(Figure(_name(network.name), distance, entries, about))
    return figures


def _name(network: str) -> str:
    """Name of the Fréchet distance of reconstructions."""
    return f"r{NAMED[network]}_{network}" if network in NAMED else f"{RECONSTRUCTION}frechet_{network}"
