"""Lens distortion: the models of OpenCV, COLMAP and nerfstudio, and maps that undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

Floats = npt.NDArray[np.float64]

PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE", "FULL_OPENCV")
FISHEYES = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
COEFFICIENTS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
KEYS = (*COEFFICIENTS, "distortion_params")
_LISTED = ("k1", "k2", "k3", "k4", "p1", "p2")  # nerfstudio's order in distortion_params
UNDISTORT = "undistort the pictures (COLMAP: colmap image_undistorter), and give the cameras of the new ones"


@frozen
class Lens:
    """A lens that distorts, as a map of a pinhole's image plane.

    With r^2 = x^2 + y^2 of a pinhole, the models of OpenCV's modules `calib3d` and `fisheye` are

        (x, y) (1 + k1 r^2 + k2 r^4 + k3 r^6) + (2 p1 x y + p2 (r^2 + 2 x^2), p1 (r^2 + 2 y^2) + 2 p2 x y)

    and, with t = atan(r),

        (x, y) (t + k1 t^3 + k2 t^5 + k3 t^7 + k4 t^9) / r

    Args:
        fisheye: whether the second model applies.
        radial: k1, k2, ...
        tangential: p1 and p2, of the first model.
    """

    radial: tuple[float, ...]
    tangential: tuple[float, float] = (0.0, 0.0)
    fisheye: bool = False

    def distorted(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Where the lens shows what a pinhole shows at x and y, in focal lengths from the principal point."""
        square = x * x + y * y
        if self.fisheye:
            r = np.sqrt(square)
            factor = np.divide(self._radius(np.arctan(r)), r, out=np.ones_like(r), where=r > 0)
            return factor * x, factor * y
        p1, p2 = self.tangential
        factor = np.ones_like(square)
        for power, k in enumerate(self.radial):
            factor += k * square ** (power + 1)
        return (
            factor * x + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            factor * y + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        )

    def _radius(self, r: Floats) -> Floats:
        """Distorted distance from the centre, for a distance (or, of a fisheye, an angle)."""
        result: Floats = r * (1 + sum(k * r ** (2 * power + 2) for power, k in enumerate(self.radial)))
        return result

    def folds(self, reach: float) -> bool:
        """Whether the map shows places twice, within a distance of the principal point in focal lengths."""
        places = np.linspace(0, np.arctan(reach) if self.fisheye else reach, 256)
        return bool((np.diff(self._radius(places)) <= 0).any())


def lens(model: str, values: Mapping[str, float]) -> Lens | None:
    """The lens of a camera model; `None` without distortion.

    Args:
        model: in COLMAP's and nerfstudio's names: `OPENCV`.
        values: k1, k2, ..., p1 and p2; 0 for those that are missing.

    Raises:
        ValueError: if the model is not supported, or has another coefficient.
    """
    name = model.upper()
    if name not in (*PINHOLES, *FISHEYES):
        known = ", ".join((*PINHOLES, *FISHEYES))
        raise ValueError(f"camera model {model!r} is not supported; {UNDISTORT}. Supported: {known}")
    fisheye = name in FISHEYES
    radial, tangential = ("k1", "k2", "k3", "k4")[: 4 if fisheye else 3], () if fisheye else ("p1", "p2")
    for key, value in values.items():
        if value and key not in (*radial, *tangential):
            raise ValueError(
                f"distortion {key} = {value:g} is not supported for the camera model {name}, only "
                f"{', '.join((*radial, *tangential))}; {UNDISTORT}"
            )
    if not fisheye and not any(values.values()):
        return None
    p1, p2 = (values.get(key, 0.0) for key in ("p1", "p2"))
    return Lens(tuple(values.get(key, 0.0) for key in radial), (p1, p2), fisheye)


def listed(values: Any) -> dict[str, float]:
    """The coefficients of nerfstudio's list `distortion_params`.

    Raises:
        ValueError: if it is not a list of six numbers.
    """
    if not (isinstance(values, Sequence) and len(values) == len(_LISTED)):
        raise ValueError(f"distortion_params is {values!r}; give the six numbers {', '.join(_LISTED)}")
    return dict(zip(_LISTED, values, strict=True))
