"""Generation metrics: MMD, coverage and 1-NN accuracy between samples and held-out shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api import Estimate, Figure, SignalSet, Split, Trained
from ddmi_core.parts import Mesh, coverage, evenly, minimum_matching_distance, one_nearest_neighbour_accuracy
from ddmi_occupancy.geometry.distances import Points, chamfer_matrix, earth_movers_matrix, in_unit_sphere
from ddmi_occupancy.settings import OccupancySettings

PART = 64  # shapes read at once

Clouds = Sequence[Points | None]  # None for a sample without a surface
Distances = Callable[[Sequence[Points], Sequence[Points]], Tensor]


def generation(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """MMD, COV and 1-NNA of samples against held-out shapes, for the chamfer and the earth mover's distance.

    `domain.set_shapes`, `set_points`, `emd_shapes` and `emd_points` set the numbers. Each cloud, of samples and
    references alike, is centred and scaled to the unit sphere. Samples without a surface stay in the set as failures:
    they match no held-out shape, `empty_samples` is their share, and 1-NNA compares the other samples with as many
    references.

    The figures `..._of_real` are those of equally many training shapes in place of samples: what real data score.
    """
    settings: OccupancySettings = model.settings
    n, points = min(count, settings.set_shapes, len(split.held_out)), min(settings.set_points, settings.surface)
    samples, device = _sampled(model, n, points, seed)
    real = _surfaces(split.held_out, evenly(len(split.held_out), n), points)
    drawn = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(seed))[:n].tolist()
    training = _surfaces(split.train, drawn, points)
    empty = sum(cloud is None for cloud in samples)
    protocol = {
        "n": n,
        "empty samples": empty,
        "reference": f"{n} held-out signals",
        "seed": seed,
        "points": points,
        "normalisation": "of all clouds: centre of the bounding box at the origin, largest radius 1",
        "empty": "match nothing (MMD, COV); left out, with references drawn down to as many (1-NNA)",
    }
    figures = [Estimate.share(empty / n, n).figure("empty_samples", protocol, "share without a surface; 0 is best")]
    kinds: dict[str, tuple[Distances, int, int, str]] = {
        "chamfer": (
            lambda first, second: chamfer_matrix(first, second, device),
            n,
            points,
            "mean squared distance to the nearest point, both directions added",
        ),
        "emd": (
            earth_movers_matrix,
            settings.emd_shapes,
            settings.emd_points,
            "mean distance of the optimal assignment, exact",
        ),
    }
    for name, (distances, most, fewer, definition) in kinds.items():
        # Held-out shapes are in the order of the data, which may be by class; the others are in random order.
        chosen = [real[number] for number in evenly(len(real), min(most, len(real)))]
        first, second, third = (_thinned(clouds[:most], fewer) for clouds in (samples, chosen, training))
        own = {**protocol, "n": len(first), "empty samples": sum(cloud is None for cloud in first)}
        own |= {"reference": f"{len(second)} held-out signals", "points": min(points, fewer), "distance": definition}
        held = _present(second)
        among = distances(held, held)
        figures += _figures(name, distances, first, second, among, own)
        equal = {**own, "n": len(third), "signals": f"{len(third)} training signals at random", "empty samples": 0}
        figures += [
            Figure(f"{figure.name}_of_real", figure.value, equal, "of training shapes", figure.interval)
            for figure in _figures(name, distances, third, second, among, own)
        ]
    return figures


def _figures(
    name: str,
    distances: Distances,
    samples: Clouds,
    references: Clouds,
    among: Tensor,
    protocol: Mapping[str, Any],
) -> list[Figure]:
    """Figures of one distance, with that among the references; none if fewer than two samples have a surface."""
    kept = _present(samples)
    if len(kept) < 2 or len(references) < 2:
        return []
    rows = torch.tensor([cloud is not None for cloud in samples])
    between = torch.full((len(samples), len(references)), float("inf"), dtype=torch.float64)
    own = torch.full((len(samples), len(samples)), float("inf"), dtype=torch.float64)
    between[rows] = distances(kept, _present(references))
    own[rows.nonzero(), rows.nonzero().T] = distances(kept, kept)
    matching, covered = minimum_matching_distance(between), coverage(between)
    accuracy = one_nearest_neighbour_accuracy(own, between, among)
    return [
        matching.figure(f"mmd_{name}", protocol, "held-out to nearest sample; lower is better"),
        covered.figure(f"cov_{name}", protocol, "held-out that are some sample's nearest; higher is better"),
        accuracy.figure(f"1nna_{name}", protocol, "accuracy of telling samples from held-out; 0.5 is best"),
    ]


def _sampled(model: Trained, n: int, points: int, seed: int) -> tuple[list[Points | None], torch.device]:
    """Points on the surfaces of samples, normalised; and the device of the model."""
    clouds: list[Points | None] = []
    device = torch.device("cpu")
    for fields in model.sample_parts(n, seed=seed):
        device = fields.device
        for field in fields:
            clouds.append(_cloud(model.renderer.render(field), points, len(clouds)))
    return clouds, device


def _cloud(mesh: Mesh, points: int, number: int) -> Points | None:
    """Points on a surface, normalised; `None` if there is none."""
    if not len(mesh.faces):
        return None
    return in_unit_sphere(mesh.sample_points(points, torch.Generator().manual_seed(number))[0])


def _surfaces(shapes: SignalSet, chosen: Sequence[int], points: int) -> list[Points | None]:
    """Points on the surfaces of signals, normalised."""
    found: list[Points | None] = []
    for start in range(0, len(chosen), PART):
        for cloud in shapes.batch(chosen[start : start + PART]).surface:
            found.append(in_unit_sphere(_evenly_spaced(cloud.float().numpy(), points)))
    return found


def _thinned(clouds: Clouds, points: int) -> Clouds:
    """Clouds with at most so many points."""
    return [None if cloud is None else _evenly_spaced(cloud, points) for cloud in clouds]


def _evenly_spaced(cloud: Points, points: int) -> Points:
    """Points at equal steps of a cloud, whose order is random."""
    chosen: Points = cloud[np.linspace(0, len(cloud) - 1, min(points, len(cloud))).round().astype(int)]
    return chosen


def _present(clouds: Clouds) -> list[Points]:
    return [cloud for cloud in clouds if cloud is not None]
