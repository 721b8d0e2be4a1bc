"""Camera files of NumPy: LLFF's `poses_bounds.npy`, and `cameras_sphere.npz` of IDR and NeuS."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import damaged, npz_arrays
from ddmi_nerf.cameras.camera import Floats, Shot
from ddmi_nerf.cameras.conventions import Matrix
from ddmi_nerf.cameras.intrinsics import HeaderOf, Intrinsics, fitted

LLFF_POSES, NEUS_CAMERAS = "poses_bounds.npy", "cameras_sphere.npz"
NUMPY_EXTENT = 1.0  # the unit sphere of NeuS
SKEW = 1e-3  # of focal lengths


def read_llff(content: bytes, name: str, pictures: Sequence[str], header_of: HeaderOf) -> tuple[Shot, ...]:
    """Read the views of LLFF: rows of a pose `(3, 5)`, and two depths, which are not used.

    The columns of a pose are the camera's axes down, right and backwards, its position, and height, width and focal
    length.

    Args:
        content: of `poses_bounds.npy`.
        name: of the file, for messages.
        pictures: paths of the images, in the order of their names.
        header_of: returns the header of an image by its path.

    Raises:
        DataError: if the file is damaged, or does not match the images.
    """
    rows = llff_rows(content, name)
    _check_count(name, len(rows), pictures)
    shots = []
    for picture, row in zip(pictures, rows, strict=True):
        down, right, backwards, place, (height, width, focal) = row[:15].reshape(3, 5).T
        pose = np.eye(4)
        pose[:3] = np.stack([right, down, -backwards, place], axis=1)
        where = f"{name}: {picture}"
        shots.append(fitted(where, pose, _pinhole(where, focal, size=(width, height)), picture, header_of))
    return tuple(shots)


def llff_rows(content: bytes, name: str) -> Floats:
    """The rows `(N, 17)` of `poses_bounds.npy`.

    Raises:
        DataError: if it is another array.
    """
    with damaged(name, "a NumPy array", "export it again"):
        rows = np.load(io.BytesIO(content), allow_pickle=False)
    if not (isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] == 17 and rows.dtype.kind == "f"):
        raise DataError(f"{name}: it has the shape {np.shape(rows)}; LLFF's array is (N, 17), of floats")
    result: Floats = rows.astype(np.float64)
    return result


def read_neus(
    content: bytes, name: str, pictures: Sequence[str], masks: Sequence[str], header_of: HeaderOf
) -> tuple[Shot, ...]:
    """Read the views of IDR and NeuS: projections `world_mat_0`, ..., and `scale_mat_0`, ... from the unit sphere.

    The world of the cameras is that of the unit sphere: the product of both matrices is the projection from it.

    Args:
        content: of `cameras_sphere.npz`.
        name: of the file, for messages.
        pictures: paths of the images, in the order of their names.
        masks: paths of their masks, or none at all.
        header_of: returns the header of an image by its path.

    Raises:
        DataError: if the file is damaged, or does not match the images.
    """
    projections = neus_projections(content, name)
    _check_count(name, len(projections), pictures)
    if masks and len(masks) != len(pictures):
        raise DataError(f"{name}: {len(pictures)} images and {len(masks)} masks; give one mask for each image, or none")
    shots = []
    for number, (picture, projection) in enumerate(zip(pictures, projections, strict=True)):
        where = f"{name}: {picture}"
        try:
            (fx, fy, cx, cy), pose = decomposed(projection)
        except ValueError as error:
            raise DataError(f"{where}: world_mat_{number}: {error}") from error
        mask = masks[number] if masks else ""
        shots.append(fitted(where, pose, _pinhole(where, fx, fy, (cx, cy)), picture, header_of, mask))
    return tuple(shots)


def neus_projections(content: bytes, name: str) -> list[Floats]:
    """The projections `(3, 4)` from the unit sphere to pixels.

    Raises:
        DataError: if the file is damaged, or has no such matrices.
    """
    with npz_arrays(io.BytesIO(content), name, "an archive of NumPy arrays", "export it again") as arrays:
        found: dict[str, Any] = {key: arrays[key] for key in arrays.files if "_mat_" in key and "inv" not in key}
        count = sum(key.startswith("world_mat_") for key in found)
        identity = np.eye(4)
        result = [
            (found[f"world_mat_{i}"].astype(np.float64) @ found.get(f"scale_mat_{i}", identity))[:3, :4]
            for i in range(count)
        ]
    if not result:
        raise DataError(f"{name}: it has no matrix world_mat_0; export the cameras again")
    return result


def decomposed(projection: Floats) -> tuple[tuple[float, float, float, float], Matrix]:
    """Intrinsics fx, fy, cx, cy and the pose `(4, 4)` to the world, from a projection `(3, 4)`.

    The left part of the projection is an upper triangular matrix times a rotation, up to a factor (Hartley and
    Zisserman, Multiple View Geometry, 6.2.4).

    Raises:
        ValueError: if it is none of a camera with orthogonal pixels.
    """
    left = projection[:, :3]
    if not np.isfinite(projection).all() or abs(np.linalg.det(left)) < 1e-12:
        raise ValueError("the matrix is singular or not finite; export the cameras again")
    projection = projection * np.sign(np.linalg.det(left))
    left = projection[:, :3]
    q, r = np.linalg.qr(left[::-1].T)  # left = (r' q') with rows and columns reversed
    upper, turn = r.T[::-1, ::-1], q.T[::-1]
    signs = np.sign(np.diag(upper))
    upper, turn = upper * signs, signs[:, None] * turn
    upper = upper / upper[2, 2]
    if abs(upper[0, 1]) > SKEW * upper[0, 0]:
        raise ValueError(f"the camera has a skew of {upper[0, 1]:.3g} pixels; only orthogonal pixels are supported")
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.T, -np.linalg.solve(left, projection[:, 3])
    return (float(upper[0, 0]), float(upper[1, 1]), float(upper[0, 2]), float(upper[1, 2])), pose


def _pinhole(
    where: str,
    fx: float,
    fy: float | None = None,
    centre: tuple[float | None, float | None] = (None, None),
    size: tuple[float, float] | None = None,
) -> Intrinsics:
    try:
        return Intrinsics(lambda _w, _h: (fx, fx if fy is None else fy), centre, size)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _check_count(name: str, poses: int, pictures: Sequence[str]) -> None:
    if poses != len(pictures):
        raise DataError(
            f"{name}: {poses} cameras, but {len(pictures)} images; they belong together in the order of the images' "
            "names, so give one image for each camera"
        )
