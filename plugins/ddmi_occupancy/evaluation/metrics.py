"""Reconstruction metrics: volumetric IoU, chamfer distance, F-score and normal consistency."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import Field, Queries
from ddmi_core.parts import Mesh
from ddmi_occupancy.geometry.distances import CloudDistances, cloud_distances
from ddmi_occupancy.rendering import OccupancyRenderer
from ddmi_occupancy.signal import ShapeSignal

SURFACE_POINTS = 4096
THRESHOLD = 0.018  # of the F-score: 1 % of the longest side, which is 1.8
EMPTY = CloudDistances(chamfer=1.8, f_score=0.0, normal_consistency=0.0)  # for a field without a surface
CHUNK = 16384  # points evaluated at once

# Distances of the latest batch, by identity of its arguments: three metrics in turn use the same meshes.
_latest: list[tuple[tuple[Field, ShapeSignal, OccupancyRenderer], tuple[CloudDistances, ...]]] = []


def iou(fields: Field, signal: ShapeSignal, renderer: OccupancyRenderer) -> Tensor:
    """Volumetric intersection over union `(B,)`, estimated from the signal's weighted points; at most 1."""
    return overlap(inside(fields, signal.points, renderer), signal.inside.bool(), signal.weights)


def overlap(predicted: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Intersection over union `(B,)` of weighted points `(B, N)`; 1 for two empty shapes."""
    weights = weights.double().expand(true.shape)
    common = (weights * (predicted & true)).sum(dim=1)
    either = (weights * (predicted | true)).sum(dim=1)
    return torch.where(either > 0, common / either.clamp(min=1e-12), torch.ones_like(either)).float()


def inside(fields: Field, points: Tensor, renderer: OccupancyRenderer) -> Tensor:
    """Whether points `(B, N, 3)` are inside of fields: `(B, N)`."""
    parts = []
    with torch.no_grad():
        for part in torch.split(points.float(), CHUNK, dim=1):
            queries = Queries(part, part.new_zeros(0), part.new_zeros(0))
            parts.append(renderer.observe(fields, queries)[..., 0] > 0)
    return torch.cat(parts, dim=1).to(points.device)


def chamfer(fields: Field, signal: ShapeSignal, renderer: OccupancyRenderer) -> Tensor:
    """Chamfer distance `(B,)` between the surfaces, in units in which the longest side is 1.8."""
    return torch.tensor([found.chamfer for found in _surfaces(fields, signal, renderer)])


def f_score(fields: Field, signal: ShapeSignal, renderer: OccupancyRenderer) -> Tensor:
    """F-score `(B,)` at 1 % of the longest side."""
    return torch.tensor([found.f_score for found in _surfaces(fields, signal, renderer)])


def normal_consistency(fields: Field, signal: ShapeSignal, renderer: OccupancyRenderer) -> Tensor:
    """Mean absolute cosine `(B,)` between the normals of the two surfaces."""
    return torch.tensor([found.normal_consistency for found in _surfaces(fields, signal, renderer)])


def _surfaces(fields: Field, signal: ShapeSignal, renderer: OccupancyRenderer) -> tuple[CloudDistances, ...]:
    """Distances between the surfaces of fields and signals; cached for the latest arguments."""
    key = (fields, signal, renderer)
    for kept, found in _latest:
        if all(one is other for one, other in zip(kept, key, strict=True)):
            return found
    found = tuple(
        _distances(renderer.render(field), surface, normals)
        for field, surface, normals in zip(fields, signal.surface, signal.normals, strict=True)
    )
    _latest[:] = [(key, found)]
    return found


def _distances(mesh: Mesh, surface: Tensor, normals: Tensor) -> CloudDistances:
    """Distances between a mesh and points `(M, 3)` of a surface with normals."""
    if not len(mesh.faces):
        return EMPTY
    points, own = mesh.sample_points(SURFACE_POINTS, torch.Generator().manual_seed(0))
    return cloud_distances(points, own, surface.float().cpu().numpy(), normals.float().cpu().numpy(), THRESHOLD)
