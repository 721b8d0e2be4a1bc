"""Surfaces of fields as meshes: a coarse lattice is refined only where the surface may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.api import Field
from ddmi_occupancy.bricks import Bricks, Index, Values
from ddmi_occupancy.closed_lattice import ClosedLattice
from ddmi_occupancy.functions import FieldSolid, FunctionSolid, Logits
from ddmi_occupancy.mesh import Mesh
from ddmi_occupancy.tracing import LEAF, trace

COARSEST = 8  # most cells between points of the coarse lattice
LEAST = 32  # cells that the coarse lattice keeps along the shortest axis, where it is not as fine as can be
MARGIN = 0.5  # of second differences, within which values count as near to zero
BLOCKS = 8192  # treated at once
STEPS = 3  # of the search along an edge


def extract(
    function: Field | Logits,
    size: Sequence[int],
    *,
    step: int | None = None,
    margin: float = MARGIN,
    steps: int = STEPS,
    normals: bool = True,
) -> Mesh:
    """The surface at which a function is zero, as a closed mesh with outward faces; empty if there is none.

    Args:
        function: a field (B = 1) over x, y and z with one value, which is positive inside; or any function of points
            `(N, 3)` that gives such values `(N,)`, differentiable by torch.
        size: cells along z, y and x.
        step: cells between the points of the coarse lattice, a power of two from 2; by default the largest up to 8
            that leaves 32 along the shortest axis.
        margin: a block is refined if its values differ in sign, or could come to zero within this many times their
            second differences; infinite for all blocks. Parts that this misses are still found if the surface connects
            them to others.
        steps: evaluations a vertex that move it onto the surface along its edge of the lattice; with 0, it stays where
            linear interpolation between lattice points has it.
        normals: take them from the function's slopes, which costs about as much as the rest; otherwise from the faces.

    Raises:
        RequestError: if the function has values that are not numbers.

    Example:
        >>> ball = extract(lambda points: 0.5 - points.norm(dim=1), (32, 32, 32))
        >>> round(ball.volume, 2), round(ball.area, 2)
        (0.52, 3.13)
    """
    solid = FieldSolid(function) if isinstance(function, Field) else FunctionSolid(function)
    lattice = ClosedLattice(solid, tuple(reversed(size)))
    if step is None:
        step = LEAF
        while step < COARSEST and min(size) >= 2 * step * LEAST:
            step *= 2
    values = lattice.every(step)
    blocks = np.stack(np.nonzero(_near(values[None], step, margin)[0])[::-1]) * step
    reach = [step * (count - 1) for count in reversed(values.shape)]
    bricks = Bricks(lattice.values, [cells + 1 for cells in reach])
    while step > LEAF:
        step //= 2
        # A level whose points are far from each other in the finest lattice has one of its own, whose bricks are full.
        grain = step if step > LEAF else 1
        level = Bricks(_Spaced(lattice, grain), [cells // grain + 1 for cells in reach]) if grain > 1 else bricks
        halved = (_halved(level, part, step, grain, margin) for part in parts(blocks))
        blocks = np.concatenate([blocks[:, :0], *halved], axis=1)
    return trace(bricks, lattice, parts(blocks), steps, normals)


def parts(blocks: Index) -> Iterator[Index]:
    """Origins `(3, K)` by as many as are treated at once."""
    return (blocks[:, start : start + BLOCKS] for start in range(0, blocks.shape[1], BLOCKS))


@frozen(eq=False)
class _Spaced:
    """Every so-many-th point of a lattice along each axis."""

    lattice: ClosedLattice
    grain: int

    def __call__(self, indices: Index) -> Values:
        return self.lattice.values(indices * self.grain)


def _halved(level: Bricks, blocks: Index, half: int, grain: int, margin: float) -> Index:
    """Of the eight halves of blocks `(3, K)`, the origins of those that may hold surface."""
    values = level.known(level.cubes(blocks // grain, half // grain))
    block, z, y, x = np.nonzero(_near(values, half, margin))
    return blocks[:, block] + np.stack([x, y, z]) * half


def _near(values: Values, step: int, margin: float) -> npt.NDArray[np.bool_]:
    """Which blocks between points `(K, Z, Y, X)`, so many cells apart, may hold surface: `(K, Z - 1, Y - 1, X - 1)`.

    Those whose corners differ in sign, or come near to zero for the second differences at them. Between two points at
    equal distance from a thin plate, the values are half of these differences, and less for a plate a cell thick.
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
    """Each pair of neighbours along an axis as one."""
    moved = np.moveaxis(values, axis, 0)
    found: Values = np.moveaxis(join(moved[:-1], moved[1:]), 0, axis)
    return found
