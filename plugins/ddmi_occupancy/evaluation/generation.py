"""Generation metrics: MMD, coverage and 1-NN accuracy between samples and held-out shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ddmi_core.api import Figure, Split, Trained
from ddmi_core.parts import coverage, minimum_matching_distance, one_nearest_neighbour_accuracy
from ddmi_occupancy.geometry.distances import Matrix, Points, chamfer_matrix, earth_movers_matrix

MOST = 100  # shapes of each set
POINTS = 1024  # of each cloud, for the chamfer distance
EMD_MOST, EMD_POINTS = 32, 256  # fewer: the exact earth mover's distance takes cubic time


def generation(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """MMD, COV and 1-NNA of samples against held-out shapes, for the chamfer and the earth mover's distance.

    No figures if fewer than two samples have a surface.
    """
    n = min(count, MOST, len(split.held_out))
    chosen = torch.linspace(0, len(split.held_out) - 1, n).round().long().tolist()
    surface = split.held_out.batch(chosen).surface
    real = [_thinned(cloud.float().numpy(), POINTS) for cloud in surface]
    kept = list(_clouds(model, n, seed))
    protocol = {
        "samples": n,
        "empty samples": n - len(kept),
        "reference": f"{n} held-out signals",
        "seed": seed,
        "normalisation": "bounding box centred, longest side 1.8",
    }
    if len(kept) < 2:
        return []
    figures = _figures("chamfer", chamfer_matrix, kept, real, {**protocol, "points": POINTS})
    few = [_thinned(cloud, EMD_POINTS) for cloud in kept[:EMD_MOST]]
    some = [_thinned(cloud, EMD_POINTS) for cloud in real[:EMD_MOST]]
    small = {**protocol, "samples": len(few), "reference": f"{len(some)} held-out signals", "points": EMD_POINTS}
    return [*figures, *_figures("emd", earth_movers_matrix, few, some, small)]


def _figures(
    name: str,
    matrix: Callable[[Sequence[Points], Sequence[Points]], Matrix],
    samples: Sequence[Points],
    references: Sequence[Points],
    protocol: Mapping[str, Any],
) -> list[Figure]:
    among, between, real = (
        torch.from_numpy(matrix(a, b)) for a, b in ((samples, samples), (samples, references), (references, references))
    )
    accuracy = one_nearest_neighbour_accuracy(among, between, real)
    return [
        Figure(
            f"mmd_{name}", minimum_matching_distance(between), protocol, "held-out to nearest sample; lower is better"
        ),
        Figure(f"cov_{name}", coverage(between), protocol, "held-out that are some sample's nearest; higher is better"),
        Figure(f"1nna_{name}", accuracy, protocol, "accuracy of telling samples from held-out; 0.5 is best"),
    ]


def _clouds(model: Trained, n: int, seed: int) -> Iterator[Points]:
    """Points on the surfaces of samples; samples without a surface are left out."""
    for number, field in enumerate(model.sample(n, seed=seed)):
        mesh = model.renderer.render(field)
        if len(mesh.faces):
            points, _ = mesh.sample_points(POINTS, torch.Generator().manual_seed(number))
            yield points


def _thinned(cloud: Points, n: int) -> Points:
    """`n` points at equal steps of a cloud, whose order is random."""
    chosen: Points = cloud[np.linspace(0, len(cloud) - 1, n).round().astype(int)]
    return chosen
