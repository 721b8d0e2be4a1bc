"""Attributes of furniture, measured on an occupancy grid."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

Grid = npt.NDArray[np.bool_]

# Thresholds, validated on all kinds of furniture by `test_occupancy_furniture.py`.
FOOT = (0.03, 0.08)  # height range in which legs are counted, as shares of the height
SPECK = 0.03  # parts below this share of the largest part are not legs
SLAB = 0.55  # adjacent levels down to this share of the largest section belong to the same board
BOARD = 0.75  # smallest section of a board, as a share of the largest section
LOWER = 0.38  # the same for a second board below a top
RISE = 0.15  # smallest height of a back, as a share of the height
ROUND = 0.88  # largest filled share of the bounding rectangle of a round board; a disc fills 0.785
LONG = 1.35  # smallest ratio of width to depth of a long piece
WALL = 0.7  # smallest filled share of a wall


@frozen
class Attributes:
    """Measured attributes of a piece of furniture."""

    legs: int  # connected parts on the floor; 1 for a pedestal
    panels: bool  # whether it stands on walls at the left and the right
    back: bool
    arms: bool
    round: bool  # whether seat or top is round
    long: bool  # whether seat or top is at least LONG times as wide as deep
    proportion: float  # ratio of height to the longer of width and depth
    boards: int  # level boards, from bottom to top
    lower: bool  # whether there is a board between the floor and a top
    closed: bool  # whether a wall closes the rear
    divided: bool  # whether a wall stands in the middle

    @property
    def square(self) -> bool:
        """Whether seat or top is neither round nor long."""
        return not self.round and not self.long


EMPTY = Attributes(0, False, False, False, False, False, 0.0, 0, False, False, False)


def measure(occupied: Grid) -> Attributes:
    """Attributes of a shape on a grid of cubic cells; 64 along each axis resolve parts of 0.06 of its size.

    Args:
        occupied: `(D, H, W)`, axes z from rear to front, y upwards, x from left to right.
    """
    if not occupied.any():
        return EMPTY
    grid = _cropped(occupied)
    deep, high, wide = grid.shape
    areas = grid.sum(axis=(0, 2))
    start = round(0.15 * high)
    seat = start + int(areas[start:].argmax())
    if areas[0:start].max(initial=0) > areas[seat]:
        seat = int(areas.argmax())
    low, top = _run(areas, seat)
    slab = _cropped(grid[:, seat : seat + 1])[:, 0]
    levels = _runs(areas >= BOARD * areas[seat])
    ceiling = max(top, levels[-1][1])
    below = areas[start : max(start, low - 1)]
    first, last = (min(high - 1, round(share * high)) for share in FOOT)
    foot = grid[:, first : last + 1].mean(axis=1) >= 0.5
    parts = _parts(foot)
    between = grid[:, _between(levels, high)].mean(axis=1)
    return Attributes(
        legs=len(parts),
        panels=len(parts) < 3 and _walls(foot if len(parts) == 2 else between),
        back=high - 1 - ceiling > RISE * high,
        arms=_arms(grid[:, ceiling + 1 :]),
        round=bool(slab.mean() < ROUND),
        long=slab.shape[1] > LONG * slab.shape[0],
        proportion=high / max(wide, deep),
        boards=len(levels),
        lower=bool(below.max(initial=0) >= LOWER * areas[seat]),
        closed=bool(between[: max(1, deep // 4)].max(axis=0).mean() > WALL),
        divided=bool(between[deep // 4 :, wide // 2 - 1 : wide // 2 + 1].mean() > WALL),
    )


def _cropped(grid: Grid) -> Grid:
    """The bounding box of the occupied cells."""
    for axis in range(grid.ndim):
        others = tuple(other for other in range(grid.ndim) if other != axis)
        cells = np.flatnonzero(grid.any(axis=others))
        grid = np.take(grid, range(cells[0], cells[-1] + 1), axis=axis)
    return grid


def _run(areas: npt.NDArray[Any], at: int) -> tuple[int, int]:
    """First and last level of the board that contains a level."""
    for low, high in _runs(areas >= SLAB * areas[at]):
        if low <= at <= high:
            return low, high
    return at, at


def _runs(marks: Grid) -> list[tuple[int, int]]:
    """First and last index of each run of true marks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(start), int(end) - 1) for start, end in edges.reshape(-1, 2)]


def _parts(section: Grid) -> list[int]:
    """Sizes of the connected parts of a section, without parts below `SPECK`."""
    from scipy import ndimage

    labels, count = ndimage.label(section, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return [int(size) for size in sizes if size > SPECK * sizes.max()]


def _between(levels: list[tuple[int, int]], high: int) -> slice:
    """The middle half of the largest gap between boards, or of the gap below a single one."""
    ends = [(-1, -1), *levels] if levels[0][0] > 0.25 * high else levels
    rooms = [(after[0] - before[1], before[1], after[0]) for before, after in pairwise(ends)]
    _, start, end = max(rooms, default=(0, 0, high))
    quarter = (end - start) // 4
    return slice(start + 1 + quarter, max(end - quarter, start + 2 + quarter))


def _walls(between: npt.NDArray[Any]) -> bool:
    """Whether walls extend from front to rear at the left and the right."""
    wide = between.shape[1]
    ends = between[:, : wide // 4], between[:, -(wide // 4) :]
    return all(bool(end.size and (end.max(axis=1) > 0.5).mean() > WALL) for end in ends)


def _arms(above: Grid) -> bool:
    """Whether the front half above the seat is occupied at the left and the right."""
    deep, high, wide = above.shape
    if not high:
        return False
    front: Grid = np.asarray(above[round(0.45 * deep) :].any(axis=0))
    third = wide // 3
    return all(side.any(axis=1).sum() >= 2 for side in (front[:, :third], front[:, -third:]))
