"""Shading of previews: three directional lights, ambient occlusion, and a ground shadow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ddmi_occupancy.preview.rasterizer import Floats

# Linear colours.
BACKGROUND = np.array([0.90, 0.89, 0.87], dtype=np.float32)
WOOD = np.array([0.60, 0.43, 0.29], dtype=np.float32)
KEY = np.array([1.08, 1.02, 0.93], dtype=np.float32)
FILL = np.array([0.16, 0.19, 0.24], dtype=np.float32)
SKY = np.array([0.27, 0.285, 0.31], dtype=np.float32)
BOUNCE = np.array([0.15, 0.125, 0.10], dtype=np.float32)

# Directions to the lights: front, top and left; front and right; rear and top.
KEY_FROM = np.array([-0.52, 0.68, 0.52], dtype=np.float32)
FILL_FROM = np.array([0.85, 0.20, 0.49], dtype=np.float32)
RIM_FROM = np.array([0.35, 0.45, -0.82], dtype=np.float32)

TEXELS, EXTENT = 96, 2.4  # of the shadow map along each side; it spans -EXTENT to EXTENT
SOFT, CLOSE = 0.16, 0.035  # standard deviations of the wide and of the contact shadow
DARKEST = 0.62
HOLLOW = 0.10  # depth difference of full ambient occlusion, in units of the scene
HOLLOWS = (0.02, 0.05)  # radii of ambient occlusion, as shares of the picture


def lit(normals: Floats, to_camera: Floats, dark: Floats) -> Floats:
    """Linear colours `(P, 3)` of a surface with unit normals `(P, 3)` and ambient occlusion `(P,)`."""
    key = np.clip((normals @ KEY_FROM + 0.25) / 1.25, 0, 1) ** 1.3
    fill = np.clip((normals @ FILL_FROM + 0.4) / 1.4, 0, 1)
    rim = np.clip(normals @ RIM_FROM, 0, 1) ** 2
    up = (normals[:, 1] + 1) / 2
    half = KEY_FROM + to_camera
    shine = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1) ** 30
    ambient = up[:, None] * SKY + (1 - up)[:, None] * BOUNCE
    light = key[:, None] * KEY + fill[:, None] * FILL + 0.25 * rim[:, None]
    found: Floats = WOOD * (light * (1 - 0.6 * dark)[:, None] + ambient * (1 - dark)[:, None]) + 0.05 * shine[:, None]
    return found


def occluded(depth: Floats) -> Floats:
    """Ambient occlusion `(H, W)` in screen space, from depths `(H, W)` that are NaN in the background."""
    covered = ~np.isnan(depth)
    known = np.where(covered, depth, 0)
    total = np.zeros_like(known)
    for share in HOLLOWS:
        radius = max(1, round(share * len(depth)))
        around = _blurred(known, radius) / np.maximum(_blurred(covered.astype(np.float32), radius), 1e-6)
        total += np.clip((around - known) / HOLLOW, 0, 1)
    return np.where(covered, 0.55 * total / len(HOLLOWS), 0)


def _blurred(values: Floats, radius: int) -> Floats:
    """Box blur, applied twice along each axis, with zero padding."""
    for axis in (0, 1, 0, 1):
        ends = [(radius + 1, radius) if number == axis else (0, 0) for number in range(2)]
        total = np.cumsum(np.pad(values, ends), axis=axis, dtype=np.float64)
        length = values.shape[axis]
        front, back = (total.take(range(start, start + length), axis=axis) for start in (2 * radius + 1, 0))
        values = ((front - back) / (2 * radius + 1)).astype(np.float32)
    return values


def shadow_map(points: Floats) -> Floats:
    """Darkness of the ground `(TEXELS, TEXELS)`, axes z and x, from uniform samples of a surface.

    An approximation of sky light: parts close to the ground cast sharp, dark shadows, high parts faint ones.
    """
    height = points[:, 1] - points[:, 1].min(initial=np.inf)
    places = np.clip((points[:, [0, 2]] + EXTENT) / (2 * EXTENT) * TEXELS, 0, TEXELS - 1).astype(np.int64)
    where = places[:, 1] * TEXELS + places[:, 0]
    found = np.zeros((TEXELS, TEXELS))
    # Points per texel under a single horizontal sheet.
    usual = max(1, len(points)) * (2 * EXTENT / TEXELS) ** 2 / 6
    for spread, reach, strength in ((CLOSE, 0.06, 0.55), (SOFT, 0.8, 0.6)):
        count = np.bincount(where, np.exp(-height / reach), minlength=TEXELS**2).reshape(TEXELS, TEXELS)
        found += strength * _smoothed(1 - np.exp(-count / usual), spread)
    return np.minimum(found, 1).astype(np.float32) * DARKEST


def _smoothed(values: npt.NDArray[np.float64], spread: float) -> npt.NDArray[np.float64]:
    """Gaussian blur with periodic boundary."""
    frequency = np.fft.fftfreq(TEXELS, 2 * EXTENT / TEXELS)
    gain = np.exp(-2 * (np.pi * spread * frequency) ** 2)
    found: npt.NDArray[np.float64] = np.fft.ifft2(np.fft.fft2(values) * gain[:, None] * gain).real
    return np.maximum(found, 0)


def shadowed(shadow: Floats, x: npt.NDArray[np.float64], z: npt.NDArray[np.float64]) -> Floats:
    """Bilinearly interpolated darkness at ground coordinates; 0 outside of the map and for NaN."""
    column, row = ((np.nan_to_num(place, nan=1e9) + EXTENT) / (2 * EXTENT) * TEXELS - 0.5 for place in (x, z))
    within = (column > 0) & (column < TEXELS - 1) & (row > 0) & (row < TEXELS - 1)
    column, row = np.where(within, column, 0), np.where(within, row, 0)
    left, top = column.astype(np.int64), row.astype(np.int64)
    right, down = column - left, row - top
    upper = shadow[top, left] * (1 - right) + shadow[top, left + 1] * right
    lower = shadow[top + 1, left] * (1 - right) + shadow[top + 1, left + 1] * right
    return np.where(within, upper * (1 - down) + lower * down, 0).astype(np.float32)
