"""Camera files of COLMAP: sparse models, as text and binary."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_core.parts import damaged
from ddmi_nerf.cameras.camera import Shot
from ddmi_nerf.cameras.conventions import Matrix
from ddmi_nerf.cameras.intrinsics import HeaderOf, Intrinsics, fitted
from ddmi_nerf.cameras.lens import lens

COLMAP_EXTENT = 1.0
# Names of the parameters of COLMAP's models, by their number (colmap/src/colmap/sensor/models.h).
MODELS = (
    ("SIMPLE_PINHOLE", "f cx cy"),
    ("PINHOLE", "fx fy cx cy"),
    ("SIMPLE_RADIAL", "f cx cy k1"),
    ("RADIAL", "f cx cy k1 k2"),
    ("OPENCV", "fx fy cx cy k1 k2 p1 p2"),
    ("OPENCV_FISHEYE", "fx fy cx cy k1 k2 k3 k4"),
    ("FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
    ("FOV", "fx fy cx cy omega"),
    ("SIMPLE_RADIAL_FISHEYE", "f cx cy k1"),
    ("RADIAL_FISHEYE", "f cx cy k1 k2"),
    ("THIN_PRISM_FISHEYE", "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1"),
)
_NAMES = {name: tuple(parameters.split()) for name, parameters in MODELS}


@frozen
class ColmapImage:
    """One image of a sparse model: its name, its camera's number, and its pose from the world to the camera."""

    name: str
    camera: int
    quaternion: tuple[float, ...]  # w, x, y, z
    shift: tuple[float, ...]  # (3,)

    @property
    def to_world(self) -> Matrix:
        """`(4, 4)`; COLMAP's axes are OpenCV's."""
        w, x, y, z = np.array(self.quaternion) / np.linalg.norm(self.quaternion)
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        result = np.eye(4)
        result[:3, :3], result[:3, 3] = turn.T, -turn.T @ self.shift
        return result


@frozen
class ColmapCamera:
    """One camera of a sparse model."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]

    def intrinsics(self) -> Intrinsics:
        """Its intrinsics.

        Raises:
            ValueError: if the model or a coefficient is not supported, or it has another number of parameters.
        """
        names = _NAMES.get(self.model, ())
        distortion = dict(zip(names, self.parameters, strict=False))
        if names and len(names) != len(self.parameters):
            raise ValueError(f"{self.model} has {len(self.parameters)} parameters; it needs {' '.join(names)}")
        fx = distortion.pop("f", 0.0) or distortion.pop("fx", 0.0)
        fy, cx, cy = (distortion.pop(key, default) for key, default in (("fy", fx), ("cx", 0.0), ("cy", 0.0)))
        through = lens(self.model, distortion)
        return Intrinsics(lambda _w, _h: (fx, fy), (cx, cy), (self.width, self.height), through)


def read_colmap(
    cameras: bytes,
    images: bytes,
    binary: bool,
    name: str,
    path_of: Callable[[str], tuple[str, str]],
    header_of: HeaderOf,
) -> tuple[Shot, ...]:
    """Read the views of a sparse model, sorted by the names of their images.

    Args:
        cameras: content of `cameras.bin` or `cameras.txt`.
        images: content of `images.bin` or `images.txt`.
        binary: whether these are the binary files.
        name: of the file of images, for messages.
        path_of: returns the paths of an image and of its mask (empty without) by the image's name.
        header_of: returns the header of an image by its path.

    Raises:
        DataError: if a file is damaged, a model is not supported, or a camera does not match its image.
    """
    with damaged(name, "a sparse model of COLMAP", "write it again: colmap model_converter"):
        known = dict(_binary_cameras(cameras) if binary else _text_cameras(cameras))
    shots = []
    for image in colmap_images(images, binary, name):
        where = f"{name}: {image.name}"
        if image.camera not in known:
            raise DataError(f"{where}: camera {image.camera} does not exist; write the model again")
        try:
            intrinsics = known[image.camera].intrinsics()
        except ValueError as error:
            raise DataError(f"{where}: camera {image.camera}: {error}") from error
        picture, mask = path_of(image.name)
        shots.append(fitted(where, image.to_world, intrinsics, picture, header_of, mask))
    return tuple(shots)


def colmap_images(content: bytes, binary: bool, name: str) -> list[ColmapImage]:
    """The images of a sparse model, sorted by name.

    Args:
        content: of `images.bin` or `images.txt`.
        binary: whether it is the binary file.
        name: of the file, for messages.

    Raises:
        DataError: if the file is damaged, or has no images.
    """
    with damaged(name, "a file of images of COLMAP", "write it again: colmap model_converter"):
        found = list(_binary_images(content) if binary else _text_images(content))
    if not found:
        raise DataError(f"{name}: the model has no images; COLMAP found no cameras")
    return sorted(found, key=lambda image: image.name)


def _rows(content: bytes) -> list[list[str]]:
    """Words of the lines of a text, without comments; an empty line gives no words, as in `images.txt`."""
    return [line.split() for line in content.decode("utf-8-sig").splitlines() if not line.startswith("#")]


def _text_cameras(content: bytes) -> Iterator[tuple[int, ColmapCamera]]:
    for words in filter(None, _rows(content)):
        yield int(words[0]), ColmapCamera(words[1], int(words[2]), int(words[3]), tuple(map(float, words[4:])))


def _text_images(content: bytes) -> Iterator[ColmapImage]:
    for words in _rows(content)[::2]:  # every other line lists points
        if words:
            values = tuple(map(float, words[1:8]))
            yield ColmapImage(" ".join(words[9:]), int(words[8]), values[:4], values[4:])


def _binary_cameras(content: bytes) -> Iterator[tuple[int, ColmapCamera]]:
    (count,) = struct.unpack_from("<Q", content)
    at = 8
    for _ in range(count):
        number, model, width, height = struct.unpack_from("<IiQQ", content, at)
        if not 0 <= model < len(MODELS):
            raise ValueError(f"camera {number} has the unknown model {model}")
        name, parameters = MODELS[model]
        form = f"<{len(parameters.split())}d"
        yield number, ColmapCamera(name, width, height, struct.unpack_from(form, content, at + 24))
        at += 24 + struct.calcsize(form)


def _binary_images(content: bytes) -> Iterator[ColmapImage]:
    (count,) = struct.unpack_from("<Q", content)
    at = 8
    for _ in range(count):
        _, *values, camera = struct.unpack_from("<I7dI", content, at)
        end = content.index(b"\0", at + 64)
        (points,) = struct.unpack_from("<Q", content, end + 1)
        yield ColmapImage(content[at + 64 : end].decode(), camera, tuple(values[:4]), tuple(values[4:]))
        at = end + 9 + 24 * points
