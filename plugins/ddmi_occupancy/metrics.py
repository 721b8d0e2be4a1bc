"""Measures of reconstructed shapes: volumetric IoU, and distances between surfaces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddmi_core.api import Field, Queries, Renderer
from ddmi_occupancy.distances import CloudDistances, cloud_distances
from ddmi_occupancy.signal import ShapeSignal

SURFACE_POINTS = 4096
THRESHOLD = 0.018  # of the F-score: 1 % of the longest side, which is 1.8
EMPTY = CloudDistances(chamfer=1.8, f_score=0.0, normal_consistency=0.0)  # of a field without a surface
CHUNK = 16384


def iou(fields: Field, signal: ShapeSignal, renderer: Renderer) -> Tensor:
    """Volumetric intersection over union `(B,)`, estimated from the signal's weighted points; at most 1."""
    return overlap(inside(fields, signal.points, renderer), signal.inside.bool(), signal.weights)


def overlap(predicted: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Intersection over union of weighted points: `(B, N)` each, to `(B,)`; two empty shapes are equal."""
    weights = weights.double().expand(true.shape)
    common = (weights * (predicted & true)).sum(dim=1)
    either = (weights * (predicted | true)).sum(dim=1)
    return torch.where(either > 0, common / either.clamp(min=1e-12), torch.ones_like(either)).float()


def inside(fields: Field, points: Tensor, renderer: Renderer) -> Tensor:
    """Whether points `(B, N, 3)` are inside, `(B, N)`."""
    parts = []
    with torch.no_grad():
        for part in torch.split(points.float(), CHUNK, dim=1):
            queries = Queries(part, part.new_zeros(0), part.new_zeros(0))
            parts.append(renderer.observe(fields, queries)[..., 0] > 0)
    return torch.cat(parts, dim=1).to(points.device)


def chamfer(fields: Field, signal: ShapeSignal, renderer: Renderer) -> Tensor:
    """Chamfer distance `(B,)` between the surfaces, in the units in which the longest side is 1.8."""
    return _surfaces(fields, signal, renderer, lambda found: found.chamfer)


def f_score(fields: Field, signal: ShapeSignal, renderer: Renderer) -> Tensor:
    """F-score `(B,)` at 1 % of the longest side."""
    return _surfaces(fields, signal, renderer, lambda found: found.f_score)


def normal_consistency(fields: Field, signal: ShapeSignal, renderer: Renderer) -> Tensor:
    """Mean absolute cosine between normals of the two surfaces, `(B,)`."""
    return _surfaces(fields, signal, renderer, lambda found: found.normal_consistency)


def _surfaces(
    fields: Field, signal: ShapeSignal, renderer: Renderer, choose: Callable[[CloudDistances], float]
) -> Tensor:
    values = []
    for number, field in enumerate(fields):
        mesh = renderer.render(field)
        if not len(mesh.faces):
            values.append(choose(EMPTY))
            continue
        generator = torch.Generator().manual_seed(0)
        points, normals = mesh.sample_points(SURFACE_POINTS, generator)
        own, own_normals = signal.surface[number].float().cpu().numpy(), signal.normals[number].float().cpu().numpy()
        values.append(choose(cloud_distances(points, normals, own, own_normals, THRESHOLD)))
    return torch.tensor(values)
