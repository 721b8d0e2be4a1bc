"""Extraction of a closed surface from an implicit function, on a lattice that is refined near the surface only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.fields.field import Field
from ddmi_core.surfaces.closed_lattice import ClosedLattice
from ddmi_core.surfaces.implicit_functions import FieldFunction, OfPoints, PointFunction
from ddmi_core.surfaces.mesh import Mesh
from ddmi_core.surfaces.sparse_lattice import Index, SparseLattice, Values
from ddmi_core.surfaces.surface_mesh import LEAF, surface_mesh

COARSEST = 8  # largest spacing of the coarse lattice, in cells
LEAST = 32  # fewest coarse cells along the shortest axis, unless the spacing is the smallest possible
MARGIN = 0.5  # values within this many times the second differences count as close to zero
BLOCKS = 8192  # processed at once
STEPS = 3  # evaluations per vertex that move it onto the surface
STEPS_WITH_SLOPE = 2  # the same if the last one has the slope


def extract_surface(
    function: Field | OfPoints,
    size: Sequence[int],
    *,
    step: int | None = None,
    margin: float = MARGIN,
    steps: int | None = None,
    normals: bool = True,
) -> Mesh:
    """The zero level of a function in the cube [-1, 1]^3, as a closed mesh; empty if the function is nowhere positive.

    The coarse lattice covers the cube. Blocks whose values are close to zero are halved down to cells, and the surface
    is followed from there into the neighbouring blocks. A solid that reaches the border of the cube is closed there.

    Args:
        function: positive inside. A field (B = 1) over x, y and z with one value, or a function of points `(N, 3)` with
            values `(N,)`; it must be differentiable by torch if `normals` is true.
        size: cells along z, y and x.
        step: spacing of the coarse lattice in cells, a power of two from 2. By default, the largest up to 8 that leaves
            32 coarse cells along the shortest axis.
        margin: a block is refined if its values differ in sign, or are within this many times their second differences
            of zero; infinite to refine every block. A part of the surface that lies in no refined block is found only
            if it is connected to one that does.
        steps: evaluations per vertex that move it onto the surface, along its lattice edge. With 0, vertices are
            interpolated linearly between lattice points. By default, 3, or 2 with `normals`.
        normals: take normals from the gradient of the function, which is part of the last evaluation of a vertex;
            otherwise from the faces.

    Returns:
        the mesh; vertices are in [-1, 1], and faces are anticlockwise as seen from outside.

    Raises:
        RequestError: if a value of the function is not finite.

    Example:
        >>> ball = extract_surface(lambda points: 0.5 - points.norm(dim=1), (32, 32, 32))
        >>> round(ball.volume, 2), round(ball.area, 2)
        (0.52, 3.13)
    """
    implicit = FieldFunction(function) if isinstance(function, Field) else PointFunction(function)
    lattice = ClosedLattice(implicit, tuple(reversed(size)))
    if step is None:
        step = LEAF
        while step < COARSEST and min(size) >= 2 * step * LEAST:
            step *= 2
    values = lattice.every(step)
    blocks = np.stack(np.nonzero(_near(values[None], step, margin)[0])[::-1]) * step
    reach = [step * (count - 1) for count in reversed(values.shape)]
    points = SparseLattice(lattice.values, [cells + 1 for cells in reach])
    while step > LEAF:
        step //= 2
        # Points of a coarse level would fill bricks of the finest lattice sparsely, so each such level has its own.
        grain = step if step > LEAF else 1
        level = SparseLattice(_Spaced(lattice, grain), [n // grain + 1 for n in reach]) if grain > 1 else points
        halved = (_halved(level, part, step, grain, margin) for part in batches(blocks))
        blocks = np.concatenate([blocks[:, :0], *halved], axis=1)
    if steps is None:
        steps = STEPS_WITH_SLOPE if normals else STEPS
    return surface_mesh(points, lattice, batches(blocks), steps, normals)


def batches(blocks: Index) -> Iterator[Index]:
    """Origins `(3, K)` in parts of up to `BLOCKS`."""
    return (blocks[:, start : start + BLOCKS] for start in range(0, blocks.shape[1], BLOCKS))


@frozen(eq=False)
class _Spaced:
    """Every `grain`-th point of a lattice along each axis."""

    lattice: ClosedLattice
    grain: int

    def __call__(self, indices: Index) -> Values:
        return self.lattice.values(indices * self.grain)


def _halved(level: SparseLattice, blocks: Index, half: int, grain: int, margin: float) -> Index:
    """Blocks `(3, K)` divided in eight: origins of the parts that the surface may cross."""
    values = level.known(level.cubes(blocks // grain, half // grain))
    block, z, y, x = np.nonzero(_near(values, half, margin))
    return blocks[:, block] + np.stack([x, y, z]) * half


def _near(values: Values, step: int, margin: float) -> npt.NDArray[np.bool_]:
    """Which blocks may contain surface, `(K, Z - 1, Y - 1, X - 1)`, from values at their corners `(K, Z, Y, X)`.

    Blocks whose corners differ in sign, or are close to zero compared with their second differences: between two points
    at equal distance from a thin plate, values are half of these differences, and less for a plate one cell thick.

    Args:
        values: at lattice points.
        step: spacing of the points, in cells.
        margin: how many second differences count as close.
    """
    low = high = values
    bend = np.zeros((1, 1, 1, 1), dtype=np.float32)
    for axis in (1, 2, 3):
        low, high = _pooled(low, axis, np.minimum), _pooled(high, axis, np.maximum)
        if values.shape[axis] > 2:
            ends = [(1, 1) if number == axis else (0, 0) for number in range(4)]
            bend = np.maximum(bend, np.pad(np.abs(np.diff(values, 2, axis=axis)), ends, mode="edge"))
    for axis in (1, 2, 3):
        bend = _pooled(bend, axis, np.maximum)
    reach = margin * (1 - 1 / step) * np.maximum(bend, np.float32(1e-30))
    near: npt.NDArray[np.bool_] = (high > -reach) & (low <= reach)
    return near


def _pooled(values: Values, axis: int, join: np.ufunc) -> Values:
    """Minimum or maximum of neighbours along an axis, which gets one shorter."""
    moved = np.moveaxis(values, axis, 0)
    found: Values = np.moveaxis(join(moved[:-1], moved[1:]), 0, axis)
    return found
