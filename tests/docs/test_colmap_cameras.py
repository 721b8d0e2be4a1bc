"""The example that brings COLMAP's cameras to our world: an object that stood somewhere else stands upright again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_docs import ROOT, environment

from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.transforms import read_transforms

PROGRAM = ROOT / "examples" / "colmap_cameras.py"
SIZE = (40, 30)


def quaternion(turn: np.ndarray) -> np.ndarray:
    """w, x, y and z of a rotation, as an eigenvector (I. Bar-Itzhack, 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = turn
    whole = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    x, y, z, w = np.linalg.eigh(whole)[1][:, -1]
    return np.array([w, x, y, z])


def write(folder: Path, cameras: list[Camera], model: str = "PINHOLE 40 30 35 35 20 15") -> None:
    """A model as text, whose world is turned, moved and larger."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for number, camera in enumerate(cameras):
        axes, place = turn @ camera.to_world[:3, :3], 7 * turn @ camera.origin + [4, -2, 9]
        values = [*quaternion(axes.T), *(-axes.T @ place)]
        lines += [" ".join(map(str, [number + 1, *values, 1, f"{number:02d} a.png"])), "1.5 2.5 -1" * (number % 2)]
    folder.mkdir()
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    (folder / "cameras.txt").write_text(f"# one\n1 {model}\n")


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROGRAM, folder / "sparse", folder]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def test_an_object_that_stood_somewhere_else_stands_upright(tmp_path):
    cameras = [Camera.orbit(36 * number, elevation, 3.0) for elevation in (10, 40) for number in range(10)]
    write(tmp_path / "sparse", cameras)
    assert run(tmp_path).returncode == 0
    found = read_transforms((tmp_path / "transforms.json").read_text(), "transforms.json", lambda _: Header(*SIZE))
    assert [shot.picture for shot in found.shots] == [f"{number:02d} a.png" for number in range(20)]
    for shot, camera in zip(found.shots, cameras, strict=True):
        np.testing.assert_allclose(shot.camera.to_world, camera.to_world, atol=1e-6)
        assert shot.camera.intrinsics == (35, 35, 20, 15)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("SIMPLE_PINHOLE 40 30 33 21 14", (33, 33, 21, 14)), ("PINHOLE 40 30 33 32 21 14", (33, 32, 21, 14))],
)
def test_pinhole_cameras_are_read(tmp_path, model, expected):
    write(tmp_path / "sparse", [Camera.orbit(90 * number, 10, 3.0) for number in range(4)], model)
    assert run(tmp_path).returncode == 0
    frame = json.loads((tmp_path / "transforms.json").read_text())["frames"][0]
    assert tuple(frame[key] for key in ("fl_x", "fl_y", "cx", "cy")) == expected


def test_distorted_cameras_are_refused_with_the_fix(tmp_path):
    write(
        tmp_path / "sparse", [Camera.orbit(90 * number, 10, 3.0) for number in range(4)], "RADIAL 40 30 33 20 15 0.1 0"
    )
    done = run(tmp_path)
    assert done.returncode != 0
    assert "camera 1 is RADIAL; undistort first: colmap image_undistorter" in done.stderr
