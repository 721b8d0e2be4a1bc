"""Uniform samples of the surface of a union of solids, with normals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddmi_occupancy.data.furniture.solids import Solid, within
from ddmi_occupancy.geometry.mesh import Array, Marks

Counts = npt.NDArray[np.int64]

# Surfaces closer than this coincide: only one of them is sampled.
TOUCHING = 1e-5


def surface(solids: Sequence[Solid], n: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """Uniform samples of the surface of a union, and outward unit normals: `(n, 3)` each."""
    points, normals, count = [], [], 0
    while count < n:
        found, outward, owner = scattered(solids, int(1.3 * (n - count)) + 64, draw)
        seen = ~_hidden(solids, found, owner)
        points.append(found[seen])
        normals.append(outward[seen])
        count += len(points[-1])
    return np.concatenate(points)[:n], np.concatenate(normals)[:n]


def _hidden(solids: Sequence[Solid], points: Array, owner: Counts) -> Marks:
    """Whether points on the surfaces of the solids `owner` are inside of another solid, or on an earlier one."""
    hidden = np.zeros(len(points), dtype=np.bool_)
    for number, solid in enumerate(solids):
        low, high = solid.bounds()
        near = within(points, low - TOUCHING, high + TOUCHING) & (owner != number) & ~hidden
        rows = np.flatnonzero(near)
        margin = np.where(owner[rows] > number, TOUCHING, -TOUCHING)
        hidden[rows] = solid.distance(points[rows]) < margin
    return hidden


def scattered(solids: Sequence[Solid], n: int, draw: np.random.Generator) -> tuple[Array, Array, Counts]:
    """Points of uniform density on the surfaces of all solids, including parts inside of other solids.

    Args:
        solids: at least one.
        n: trials; rejection sampling leaves fewer points if solids are stretched or sheared.

    Returns:
        points and outward unit normals `(P, 3)` each, and the number of the solid `(P,)` of each; P <= n
    """
    frames = np.stack([solid.frame for solid in solids])
    turned = np.linalg.inv(frames).transpose(0, 2, 1)
    volume = np.abs(np.linalg.det(frames))
    most = volume / np.linalg.svd(frames, compute_uv=False)[:, -1]  # largest factor by which the frame scales an area
    sizes, rounding = np.stack([solid.size for solid in solids]), np.array([solid.rounding for solid in solids])
    cone = np.array([solid.cone for solid in solids])
    parts = np.where(cone[:, None], cone_areas(sizes, rounding), box_areas(sizes, rounding))
    chances = parts * most[:, None]
    ends = np.cumsum(chances)
    cell = np.searchsorted(ends, draw.random(n) * ends[-1], side="right").clip(max=chances.size - 1)
    owner, part = np.divmod(np.sort(cell), chances.shape[1])
    own, normal = np.empty((n, 3)), np.empty((n, 3))
    for kind, make in ((True, on_cone), (False, on_box)):
        rows = np.flatnonzero(cone[owner] == kind)
        own[rows], normal[rows] = make(sizes[owner[rows]], rounding[owner[rows]], part[rows], draw)
    outward = np.einsum("nij,nj->ni", turned[owner], normal)
    length = np.linalg.norm(outward, axis=1)
    kept = draw.random(n) * most[owner] < volume[owner] * length
    points = np.einsum("nij,nj->ni", frames[owner], own) + np.stack([solid.centre for solid in solids])[owner]
    shuffled = draw.permutation(np.flatnonzero(kept))
    return points[shuffled], (outward / length[:, None])[shuffled], owner[shuffled]


def box_areas(size: Array, rounding: Array) -> Array:
    """Areas `(K, 7)` of the parts of boxes: faces across each axis, rounded edges along each axis, rounded corners."""
    flat = size - rounding[:, None]
    faces = 8 * np.stack([flat[:, 1] * flat[:, 2], flat[:, 2] * flat[:, 0], flat[:, 0] * flat[:, 1]], axis=1)
    edges = 4 * np.pi * rounding[:, None] * flat
    return np.concatenate([faces, edges, 4 * np.pi * rounding[:, None] ** 2], axis=1)


def on_box(size: Array, rounding: Array, part: Counts, draw: np.random.Generator) -> tuple[Array, Array]:
    """Points and normals `(P, 3)` on parts of boxes, numbered as in `box_areas`; arrays have P rows."""
    n = len(size)
    direction = draw.standard_normal((n, 3))
    axis = part % 3
    rows = np.arange(n)
    face, edge = part < 3, (part >= 3) & (part < 6)
    direction[face] *= axis[face, None] == np.arange(3)
    direction[rows[edge], axis[edge]] = 0
    normal = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    flat = size - rounding[:, None]
    core = np.where(normal == 0, draw.uniform(-1, 1, (n, 3)), np.sign(normal)) * flat
    return core + rounding[:, None] * normal, normal


def cone_areas(size: Array, rounding: Array) -> Array:
    """Areas `(K, 7)` of the parts of cones: side, lower and upper end, their rounded rims, and two unused."""
    foot, half, head = (size - rounding[:, None]).T
    side = np.pi * (foot + head + 2 * rounding) * np.hypot(2 * half, head - foot)
    ends = np.pi * np.stack([foot, head]) ** 2
    rims = 2 * np.pi * rounding * (np.pi / 2 * np.stack([foot, head]) + rounding)
    return np.stack([side, *ends, *rims, np.zeros_like(side), np.zeros_like(side)], axis=1)


def on_cone(size: Array, rounding: Array, part: Counts, draw: np.random.Generator) -> tuple[Array, Array]:
    """Points and normals `(P, 3)` on parts of cones, numbered as in `cone_areas`; arrays have P rows."""
    n = len(size)
    foot, half, head = (size - rounding[:, None]).T
    turn, share, choice = draw.uniform(0, 2 * np.pi, n), draw.random(n), draw.random(n)
    side, end = part == 0, (part == 1) | (part == 2)
    sign = np.where((part == 1) | (part == 3), -1.0, 1.0)
    # On the side, the density of heights is proportional to the radius.
    near, far = foot + rounding, head + rounding
    height = share * (near + far) / (near + np.sqrt(near**2 + share * (far**2 - near**2)))
    radius = np.where(sign < 0, foot, head)
    # On a rim, elevation angles have the density radius + rounding cos(angle), a mixture of two.
    even = choice * (np.pi / 2 * radius + rounding) < np.pi / 2 * radius
    angle = np.where(even, np.pi / 2 * share, np.arcsin(share))
    slope = np.maximum(np.hypot(2 * half, far - near), np.finfo(np.float64).tiny)
    outward = np.select([side, end], [2 * half / slope, 0.0], np.cos(angle))
    upward = np.select([side, end], [(near - far) / slope, sign], sign * np.sin(angle))
    across = np.select(
        [side, end], [near + height * (far - near), radius * np.sqrt(share)], radius + rounding * np.cos(angle)
    )
    along = np.select(
        [side, end], [half * (2 * height - 1), sign * (half + rounding)], sign * (half + rounding * np.sin(angle))
    )
    cos, sin = np.cos(turn), np.sin(turn)
    points = np.stack([across * cos, along, across * sin], axis=1)
    return points, np.stack([outward * cos, upward, outward * sin], axis=1)
