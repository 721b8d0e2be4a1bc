"""A check of cameras against outlines: the visual hull of all views has to cover the outlines of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve

from ddmi_core.errors import DataError, counted
from ddmi_nerf.cameras.camera import Camera, Floats
from ddmi_nerf.data.reading import Pixels
from ddmi_nerf.data.visual_hull import OPAQUE, Marks, border, covered_from, pixels_of

PIXELS = 96  # of the border of an outline, which are tried
STEPS = 96  # places along the ray of a pixel, inside the cube
COARSE = 64  # pixels along each side of an outline, at most
AGREED = 0.999  # share of borders, with right cameras
ZOOMS = (0.125, 0.25, 0.5)  # of focal lengths, tried to name the cause; long ones agree with nearly everything
CAUSES = (
    "focal lengths or w and h of pictures of another size, poses in another order than the pictures or with other "
    "axes, pictures that are turned, a lens that distorts, or outlines with background in them or with parts missing"
)


def covered_shares(cameras: Sequence[Camera], pictures: Pixels, wider: int = 1) -> Floats:
    """The share of the border of each view's outline that the visual hull covers, `(V,)`: 1 for cameras that fit.

    A pixel of the border is covered if some place on its ray inside the cube lies in the outlines of all other views,
    or outside of their pictures (image-based visual hulls, Matusik et al. 2000). Outlines are widened by one pixel of a
    coarse grid, so that rounding removes nothing. Borders tell more than inner pixels, which wrong cameras often cover.
    Views without opaque pixels count as covered.

    Args:
        cameras: V of them, in the cube's coordinates.
        pictures: `(V, H, W, 4)`, premultiplied colour, and opacity.
        wider: by how many pixels of the coarse grid outlines are widened.
    """
    opacity = pictures[..., 3]
    block = -(-opacity.shape[1] // COARSE)
    outlines = _pooled(opacity, block) >= covered_from(pictures)
    for _ in range(wider):
        outlines = _widened(outlines)
    small = [camera.resized(outlines.shape[2], outlines.shape[1]) for camera in _padded(cameras, opacity, block)]
    chosen = [_spread(np.flatnonzero(border(view >= OPAQUE))) for view in opacity]
    owner = np.repeat(np.arange(len(cameras)), [len(pixels) for pixels in chosen])
    if not len(owner):
        return np.ones(len(cameras))
    places = np.concatenate([_along(camera, pixels) for camera, pixels in zip(cameras, chosen, strict=True)])
    kept = np.ones(places.shape[:2], dtype=bool)
    for view, (camera, outline) in enumerate(zip(small, outlines, strict=True)):
        asked = np.flatnonzero((kept & (owner != view)[:, None]).ravel())
        row, column, within, depth = pixels_of(camera, places.reshape(-1, 3)[asked])
        kept.ravel()[asked[(within & ~outline[row, column]) | (depth <= 0)]] = False
    hit = kept.any(axis=1)
    counts = np.bincount(owner, minlength=len(cameras))
    return np.where(counts > 0, np.bincount(owner, hit, len(cameras)) / np.maximum(counts, 1), 1.0)


def check_agreement(
    name: str, views: Sequence[str], cameras: Sequence[Camera], pictures: Pixels, least: float
) -> float:
    """Check that the visual hull of the views covers their outlines.

    Args:
        name: of the object, for messages.
        views: names of the V images, for messages.
        cameras: V of them, in the cube's coordinates.
        pictures: `(V, H, W, 4)`.
        least: the smallest mean share that is accepted.

    Returns:
        The mean share.

    Raises:
        DataError: if the share is below `least`; it names likely causes.
    """
    shares = covered_shares(cameras, pictures)
    mean = float(shares.mean())
    if mean >= least:
        return mean
    worst = int(shares.argmin())
    empty = [view for view, picture in zip(views, pictures, strict=True) if (picture[..., 3] < OPAQUE).all()]
    found = f"{counted(len(empty), 'view')} of them without any opaque pixel: {empty[0]}. " if empty else ""
    raise DataError(
        f"{name}: the views contradict each other: the visual hull of all covers {mean:.1%} of the borders of their "
        f"outlines (100% if the cameras are right), and {shares[worst]:.0%} in {views[worst]}. "
        f"{found or _cause(cameras, pictures, mean, least)}Likely causes: {CAUSES}. Fix: export the cameras for these "
        "pictures again; or, if outlines are only rough, accept less with --set "
        f"domain.agreement={max(0.0, np.floor(100 * mean) / 100):g}"
    )


def _cause(cameras: Sequence[Camera], pictures: Pixels, before: float, least: float) -> str:
    """A sentence about what would make the views agree, if anything does."""
    if zoomed := _zoomed(cameras, pictures, before):
        return zoomed
    negative = pictures.copy()
    negative[..., 3] = 255 - negative[..., 3]
    edges = (pictures[:, [0, -1], :, 3] >= OPAQUE).mean()
    if edges > 0.5 and covered_shares(cameras, negative).mean() >= max(AGREED, before):
        return "They agree if opacity is inverted: masks have to be white where the object is. "
    if (share := covered_shares(cameras, pictures, wider=2).mean()) >= least:
        side = max(pictures.shape[1:3])
        return (
            f"If outlines are {-(-side // COARSE)} of {side} pixels wider, the hull covers {share:.1%}, so they may "
            "only be rough, or the cameras slightly wrong. "
        )
    return ""


def _zoomed(cameras: Sequence[Camera], pictures: Pixels, before: float) -> str:
    """A sentence, if the outlines agree with other focal lengths, as those of pictures of another size."""
    found = {}
    for zoom in ZOOMS:
        others = [evolve(camera, fx=camera.fx * zoom, fy=camera.fy * zoom) for camera in cameras]
        found[zoom] = float(covered_shares(others, pictures).mean())
    zoom = max(found, key=found.__getitem__)
    if found[zoom] < max(AGREED, before):
        return ""
    return f"They agree if focal lengths are {zoom:g} times as long: give w and h of the pictures that these are for. "


def _pooled(opacity: npt.NDArray[np.uint8], block: int) -> npt.NDArray[np.uint8]:
    """The largest opacity of each block of pixels."""
    count, high, wide = opacity.shape
    padded = np.pad(opacity, ((0, 0), (0, -high % block), (0, -wide % block)))
    result: npt.NDArray[np.uint8] = padded.reshape(
        count, padded.shape[1] // block, block, padded.shape[2] // block, block
    ).max(axis=(2, 4))
    return result


def _padded(cameras: Sequence[Camera], opacity: npt.NDArray[np.uint8], block: int) -> list[Camera]:
    """The cameras of pictures whose sides are multiples of the block."""
    _, high, wide = opacity.shape
    return [camera.cropped(0, 0, wide + -wide % block, high + -high % block) for camera in cameras]


def _widened(marks: Marks) -> Marks:
    """Outlines with the pixels beside them."""
    padded = np.pad(marks, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    result: Marks = rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]
    return result


def _spread(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Evenly spaced ones of the numbers."""
    count = min(len(numbers), PIXELS)
    return numbers[((np.arange(count) + 0.5) * len(numbers) / max(count, 1)).astype(np.int64)]


def _along(camera: Camera, pixels: npt.NDArray[np.int64]) -> Floats:
    """Places on the rays of pixels inside the cube, `(N, STEPS, 3)`; of a ray beside the cube, outside of it."""
    directions = camera.directions()[pixels]
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (-1 - camera.origin) / directions, (1 - camera.origin) / directions
    enter = np.nanmax(np.minimum(one, other), axis=1, keepdims=True)
    leave = np.nanmin(np.maximum(one, other), axis=1, keepdims=True)
    steps = (np.arange(STEPS) + 0.5) / STEPS
    distances = enter + (leave - enter) * steps
    result: Floats = camera.origin + distances[..., None] * directions[:, None]
    return result
