"""Turntable animations of meshes and point clouds, for reports and as gif or mp4 files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.parts import Mesh, PointCloud, write_h264
from ddmi_occupancy.preview.rasterizer import Floats, Hits, rasterise
from ddmi_occupancy.preview.shading import BACKGROUND, lit, occluded, shadow_map, shadowed

FRAMES, SIDE = 18, 176  # frames and pixels in a report
FILE_FRAMES, FILE_SIDE = 36, 320
DURATION = 70  # milliseconds per frame of a file
START = np.radians(35)  # angle of the first frame
ELEVATION = np.radians(20)  # of the camera
DISTANCE = 5.0  # of the camera from the centre
FILL = 0.86  # share of the picture that the largest extent takes
SHADOWING = 20000  # surface points from which the ground shadow is computed
SAMPLES = 2  # supersampling along each axis


def picture(artefact: Mesh | PointCloud) -> list[Image.Image]:
    """Frames of a turntable that loops."""
    return list(frames(artefact, FRAMES, SIDE))


def write_turntable(artefact: Mesh | PointCloud, path: Path) -> None:
    """Write a turntable as a looping gif.

    Raises:
        OSError: if the file cannot be written.
    """
    drawn = list(frames(artefact, FILE_FRAMES, FILE_SIDE))
    # One palette for all frames, since colours would flicker otherwise.
    shown = Image.new("RGB", (FILE_SIDE * 4, FILE_SIDE))
    for place in range(4):
        shown.paste(drawn[place * FILE_FRAMES // 4], (place * FILE_SIDE, 0))
    palette = shown.quantize(256, dither=Image.Dither.NONE)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in drawn)
    with path.open("wb") as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=DURATION, loop=0, disposal=1)


def write_turntable_mp4(artefact: Mesh | PointCloud, path: Path) -> None:
    """Write a turntable as an mp4 file (H.264).

    Raises:
        OSError: if the file cannot be written.
    """
    drawn = (np.asarray(frame) for frame in frames(artefact, FILE_FRAMES, FILE_SIDE))
    write_h264(drawn, (FILE_SIDE, FILE_SIDE), 1000 / DURATION, path)


def frames(artefact: Mesh | PointCloud, count: int, side: int) -> Iterator[Image.Image]:
    """Render the frames of one turn.

    Args:
        artefact: drawn at the centre of the turntable.
        count: number of frames.
        side: pixels along each side.
    """
    mesh = artefact.discs() if isinstance(artefact, PointCloud) else artefact
    stage = _Stage.around(mesh, side * SAMPLES)
    for number in range(count):
        yield _draw(mesh, stage, START + 2 * np.pi * number / count)


@frozen
class _Camera:
    """A perspective camera that looks at the centre from slightly above."""

    side: int  # pixels along each side
    scale: float  # pixels per unit, at the centre
    middle: float  # height of the centre
    ground: float  # height of the ground

    @staticmethod
    def looking_at(mesh: Mesh, side: int) -> _Camera:
        """The camera that sees the whole mesh at every angle."""
        if not len(mesh.vertices):
            return _Camera(side, side / 2, 0.0, -0.9)
        low, high = mesh.vertices[:, 1].min(), mesh.vertices[:, 1].max()
        reach = float(np.hypot(mesh.vertices[:, 0], mesh.vertices[:, 2]).max())
        tall = float(high - low) * np.cos(ELEVATION) + 2 * reach * np.sin(ELEVATION)
        nearest = DISTANCE / (DISTANCE - reach)
        return _Camera(side, FILL * side / (max(tall, 2 * reach, 0.2) * nearest), float(low + high) / 2, float(low))

    def project(self, points: Floats) -> Floats:
        """Columns and rows in pixels, and depth towards the camera, of rotated points `(N, 3)`."""
        x, y, z = points[:, 0], points[:, 1] - self.middle, points[:, 2]
        depth = z * np.cos(ELEVATION) + y * np.sin(ELEVATION)
        up = y * np.cos(ELEVATION) - z * np.sin(ELEVATION)
        scale = self.scale * DISTANCE / (DISTANCE - depth)
        found = np.stack([self.side / 2 + scale * x, self.side / 2 - scale * up, depth], axis=1)
        return found.astype(np.float32)

    def on_ground(self) -> npt.NDArray[np.float64]:
        """Ground coordinates x and z `(2, side, side)` seen by each pixel of the result; NaN above the horizon."""
        centres = np.arange(SAMPLES / 2, self.side, SAMPLES) - self.side / 2
        across, down = np.meshgrid(centres / self.scale, -centres / self.scale)
        # The ray starts at depth DISTANCE and passes through (across, down) in the plane through the centre.
        fall = down * np.cos(ELEVATION) - DISTANCE * np.sin(ELEVATION)
        ahead = -down * np.sin(ELEVATION) - DISTANCE * np.cos(ELEVATION)
        height = self.middle + DISTANCE * np.sin(ELEVATION) - self.ground
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(fall < -1e-6, -height / fall, np.nan)
        return np.stack([across * steps, DISTANCE * np.cos(ELEVATION) + ahead * steps])


@frozen(eq=False)
class _Stage:
    """Data shared by all frames."""

    camera: _Camera
    ground: npt.NDArray[np.float64]  # (2, side, side), x and z of the ground at each pixel of the result
    shadow: Floats

    @staticmethod
    def around(mesh: Mesh, side: int) -> _Stage:
        """The stage for a mesh."""
        camera = _Camera.looking_at(mesh, side)
        points = mesh.vertices
        if len(mesh.faces):
            points, _ = mesh.sample_points(SHADOWING, torch.Generator().manual_seed(0))
        return _Stage(camera, camera.on_ground(), shadow_map(points))


def _draw(mesh: Mesh, stage: _Stage, turn: float) -> Image.Image:
    """One anti-aliased frame."""
    side = stage.camera.side
    cos, sin = np.cos(turn), np.sin(turn)
    turning = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=np.float32)
    x, z = stage.ground
    ground = BACKGROUND * (1 - shadowed(stage.shadow, cos * x - sin * z, sin * x + cos * z))[..., None]
    colours = ground.repeat(SAMPLES, axis=0).repeat(SAMPLES, axis=1).reshape(-1, 3)
    hits = rasterise(stage.camera.project(mesh.vertices @ turning.T), mesh.faces.astype(np.int64), side)
    colours[hits.pixels] = _surface(mesh, hits, turning, stage.camera)
    pixels = np.clip(colours, 0, 1).reshape(side // SAMPLES, SAMPLES, side // SAMPLES, SAMPLES, 3).mean(axis=(1, 3))
    encoded = np.where(pixels <= 0.0031308, 12.92 * pixels, 1.055 * pixels ** (1 / 2.4) - 0.055)  # sRGB
    return Image.fromarray((encoded * 255 + 0.5).astype(np.uint8))


def _surface(mesh: Mesh, hits: Hits, turning: Floats, camera: _Camera) -> Floats:
    """Linear colours `(P, 3)` of the pixels that a mesh covers."""
    normals = (mesh.normals[mesh.faces[hits.faces]] * hits.weights[:, :, None]).sum(axis=1) @ turning.T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    depth = np.full(camera.side**2, np.nan, dtype=np.float32)
    depth[hits.pixels] = hits.depth
    # Ambient occlusion is smooth, so half of the resolution is enough.
    dark = occluded(depth.reshape(camera.side, camera.side)[::SAMPLES, ::SAMPLES])
    dark = dark[hits.pixels // camera.side // SAMPLES, hits.pixels % camera.side // SAMPLES]
    to_camera = np.array([0, np.sin(ELEVATION), np.cos(ELEVATION)], dtype=np.float32)
    return lit(normals, to_camera, dark)
