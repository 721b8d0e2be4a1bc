"""Coloured surface points from the visual hull, the intersection of an object's silhouettes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddmi_nerf.cameras.camera import Camera, Floats
from ddmi_nerf.data.reading import Pixels

CELLS = 64  # along each axis of the cube
COVERED = 32  # least opacity of the pixels of crisp silhouettes
OPAQUE = 128  # least opacity of pixels that contribute a colour

CLEAR, FULL = 8, 242  # opacity of pixels between them is partial
SOFT = 2.0  # width in pixels of partial opacity at outlines, from which they are soft; that of antialiasing is about 1

Marks = npt.NDArray[np.bool_]


def softness(pictures: Pixels) -> float:
    """Width in pixels of the partial opacity along the outlines of views `(V, H, W, 4)`."""
    opacity = pictures[..., 3]
    partial = int(((opacity > CLEAR) & (opacity < min(FULL, 0.95 * opacity.max()))).sum())
    return partial / max(1, sum(int(border(view >= OPAQUE).sum()) for view in opacity))


def covered_from(pictures: Pixels) -> int:
    """Least opacity of the pixels of silhouettes: low, because a cell must lie in all, but half for soft outlines."""
    return OPAQUE if softness(pictures) > SOFT else COVERED


def border(marks: Marks) -> Marks:
    """Marked pixels beside one that is not, or at the edge of the picture."""
    padded = np.pad(marks, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    result: Marks = marks & ~inner
    return result


def visual_hull(cameras: Sequence[Camera], pictures: Pixels, cells: int = CELLS) -> Marks:
    """Cells of the cube that lie inside all silhouettes and in the image of at least half of the cameras.

    Args:
        cameras: V of them.
        pictures: `(V, H, W, 4)`, premultiplied colour, and opacity.
        cells: along each axis.

    Returns:
        `(cells, cells, cells)`, x first.
    """
    places = (2 * np.arange(cells) + 1) / cells - 1
    points = np.stack(np.meshgrid(places, places, places, indexing="ij"), axis=-1).reshape(-1, 3)
    kept, seen, least = np.ones(len(points), dtype=bool), np.zeros(len(points), dtype=np.int64), covered_from(pictures)
    for camera, picture in zip(cameras, pictures, strict=True):
        rest = np.flatnonzero(kept)
        row, column, within, _ = pixels_of(camera, points[rest])
        covered = picture[row, column, 3] >= least
        kept[rest[within & ~covered]] = False
        seen[rest[within]] += 1
    result: Marks = (kept & (2 * seen >= len(cameras))).reshape(cells, cells, cells)
    return result


def hull_points(
    cameras: Sequence[Camera], pictures: Pixels, hull: Marks, n: int, draw: np.random.Generator
) -> tuple[Floats, Floats]:
    """Random points on the hull's surface, each with the median of its colours in the views that see it.

    Args:
        cameras: V of them.
        pictures: `(V, H, W, 4)`.
        hull: from `visual_hull`; not empty.
        n: number of points.
        draw: source of randomness.

    Returns:
        Points `(n, 3)` in [-1, 1], and colours `(n, 3)` in [0, 1].
    """
    cells = len(hull)
    index = np.argwhere(hull & ~_inner(hull))
    surface = (2 * index + 1) / cells - 1
    colours = _colours(cameras, pictures, surface, 2 / cells)
    chosen = draw.integers(len(surface), size=n) if len(surface) < n else draw.permutation(len(surface))[:n]
    moved = surface[chosen] + draw.uniform(-0.5, 0.5, (n, 3)) * (2 / cells)
    return moved.clip(-1, 1), colours[chosen]


def _inner(hull: Marks) -> Marks:
    """Cells whose six neighbours are all in the hull."""
    padded = np.pad(hull, 1)
    result = hull.copy()
    for axis in range(3):
        for step in (-1, 1):
            result &= np.roll(padded, step, axis=axis)[1:-1, 1:-1, 1:-1]
    return result


def _colours(cameras: Sequence[Camera], pictures: Pixels, points: Floats, cell: float) -> Floats:
    """Median colours `(N, 3)` of cells over the views in which they are not occluded."""
    found = np.full((len(cameras), len(points), 3), np.nan)
    for colours, camera, picture in zip(found, cameras, pictures, strict=True):
        row, column, within, depth = pixels_of(camera, points)
        # Neighbouring cells may be several pixels apart, so the depth test uses blocks of that size.
        ratio = cell * max(camera.fx, camera.fy) / np.median(depth)
        step = int(np.ceil(np.clip(ratio, 1, max(camera.width, camera.height)))) if np.isfinite(ratio) else 1
        block = (row // step) * (camera.width // step + 1) + column // step
        nearest = np.full(block.max() + 1, np.inf)
        np.minimum.at(nearest, block[within], depth[within])
        pixel = picture[row, column].astype(np.float64)
        seen = within & (depth <= nearest[block] + 2 * cell) & (pixel[:, 3] >= OPAQUE)
        colours[seen] = pixel[seen, :3] / pixel[seen, 3:]
    known = np.isfinite(found[..., 0]).any(axis=0)
    result = np.full((len(points), 3), 0.5)
    if known.any():
        result[known] = np.nanmedian(found[:, known], axis=0)
        result[~known] = np.median(result[known], axis=0)
    return result.clip(0, 1)


def pixels_of(camera: Camera, points: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Marks, Floats]:
    """Rows and columns of points, whether they are inside the image, and their depths."""
    places, depth = camera.project(points)
    with np.errstate(invalid="ignore"):
        column, row = np.floor(places.T)
        within = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    at = np.where(within, row, 0).astype(np.int64), np.where(within, column, 0).astype(np.int64)
    return *at, within, depth
