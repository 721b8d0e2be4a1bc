"""Converts a COLMAP text model of an object to `transforms.json`: `python examples/colmap_cameras.py SPARSE IMAGES`.

SPARSE has `cameras.txt` and `images.txt`, with pinhole cameras without distortion. IMAGES is the folder of the
pictures; the program writes the file there. COLMAP's world has an arbitrary origin, orientation and unit, so the
program normalises it: the point that the cameras look at becomes the origin, the mean of their up vectors points up,
the first picture by name is taken from the front, and the mean distance of the cameras is 3.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import evolve

from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.transforms import write_nerfstudio

DISTANCE = 3.0

Floats = npt.NDArray[np.float64]


def read_model(sparse: Path) -> list[Shot]:
    """Views of a model, sorted by the names of their pictures."""
    intrinsics = {}
    for words in rows(sparse / "cameras.txt"):
        width, height, focal = int(words[2]), int(words[3]), [float(word) for word in words[4:]]
        if words[1] not in ("PINHOLE", "SIMPLE_PINHOLE"):
            raise SystemExit(f"camera {words[0]} is {words[1]}; undistort first: colmap image_undistorter")
        fx, fy, cx, cy = focal if words[1] == "PINHOLE" else (focal[0], *focal)
        intrinsics[words[0]] = (fx, fy, cx, cy, width, height)
    shots = []
    for words in rows(sparse / "images.txt")[::2]:  # every other line lists points
        w, x, y, z = (float(word) for word in words[1:5])
        pose = np.eye(4)
        pose[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        pose[:3, 3] = [float(word) for word in words[5:8]]
        # COLMAP's poses go from the world to the camera; its axes are OpenCV's.
        shots.append(Shot(Camera(np.linalg.inv(pose), *intrinsics[words[8]]), " ".join(words[9:])))
    return sorted(shots, key=lambda shot: shot.picture)


def rows(path: Path) -> list[list[str]]:
    """Words of the lines of a file, without comments; an empty line gives no words, as in `images.txt`."""
    return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]


def upright(shots: list[Shot]) -> list[Shot]:
    """The same views in a world with the object at the origin, z up, and the first camera in front."""
    places = np.stack([shot.camera.origin for shot in shots])
    looks = np.stack([shot.camera.to_world[:3, 2] for shot in shots])
    away = np.eye(3) - looks[:, :, None] * looks[:, None]  # projects onto the plane orthogonal to an optical axis
    middle = np.linalg.solve(away.sum(axis=0), (away @ places[:, :, None]).sum(axis=0))[:, 0]
    up = unit(-np.stack([shot.camera.to_world[:3, 1] for shot in shots]).mean(axis=0))
    front = places[0] - middle
    right = unit(np.cross(up, front))
    turn = np.stack([right, np.cross(up, right), up])
    scale = DISTANCE / np.linalg.norm(places - middle, axis=1).mean()

    def placed(camera: Camera) -> Camera:
        pose = np.eye(4)
        pose[:3, :3] = turn @ camera.to_world[:3, :3]
        pose[:3, 3] = scale * turn @ (camera.origin - middle)
        return evolve(camera, to_world=pose)

    return [Shot(placed(shot.camera), shot.picture) for shot in shots]


def unit(vector: Floats) -> Floats:
    """A vector scaled to length one."""
    result: Floats = vector / np.linalg.norm(vector)
    return result


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sparse", type=Path, help="folder with cameras.txt and images.txt")
    parser.add_argument("images", type=Path, help="folder of the pictures")
    arguments = parser.parse_args()
    path = arguments.images / "transforms.json"
    shots = upright(read_model(arguments.sparse))
    path.write_text(write_nerfstudio(shots))
    print(f"{path}: {len(shots)} views")


if __name__ == "__main__":
    main()
