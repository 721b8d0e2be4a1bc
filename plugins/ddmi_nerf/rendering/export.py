"""Export of rendered radiance fields: png, orbits as gif and mp4 with their cameras, and coloured meshes as glb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import write_animated_gif, write_h264
from ddmi_nerf.cameras.camera import Camera, to_json
from ddmi_nerf.cameras.orbit import FRAMES, RATE, orbit
from ddmi_nerf.rendering.mesh import ColouredMesh, extract_mesh
from ddmi_nerf.rendering.scene import SURFACE, Bytes, Picture, frames

DEPTH_UNITS = 8192  # steps of a depth map per unit of length
THUMBNAIL, SHOWN = 128, 16  # pixels a side and frames of an orbit in a report
NEAREST = 0.1  # depth of a rectangle whose camera does not look towards the origin
ASIDE = re.compile(r"^\.partial-(?:[0-9a-f]{6}-[0-9]+-)?")  # prefix of files until they are complete
UNLIT = "KHR_materials_unlit"


def write_png(picture: Picture, path: Path) -> None:
    """Write the colours.

    Raises:
        OSError: if the file cannot be written.
    """
    Image.fromarray(picture.pixels()).save(path, "PNG")


def write_normals(picture: Picture, path: Path) -> None:
    """Write the normals as a png: x, y and z from -1 to 1 are red, green and blue from 0 to 255; no surface is white.

    Raises:
        OSError: if the file cannot be written.
    """
    Image.fromarray(picture.normal_map()).save(path, "PNG")


def write_depth(picture: Picture, path: Path) -> None:
    """Write the depth as a 16-bit png: distance from the camera times 8192, and 0 for distances of 8 or more.

    Pixels with an opacity of at most 0.5 are 0 too.

    Raises:
        OSError: if the file cannot be written.
    """
    known = (picture.opacity > SURFACE) & (picture.depth * DEPTH_UNITS < 65535)
    values = np.where(known, picture.depth * DEPTH_UNITS + 0.5, 0).astype(np.uint16)
    Image.fromarray(values).save(path, "PNG")


def write_gif(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write one orbit around the scene as a looping animation, and its cameras as JSON next to it.

    The orbit starts at the picture's own camera. Frames are written one by one, each with its own palette of 256
    colours. A picture without a scene is the only frame.

    Raises:
        RequestError: if the picture is larger than 1024 pixels a side.
        OSError: if a file cannot be written.
    """
    shown, cameras = turn(picture, count)
    write_animated_gif(shown, picture.size, [int(100 / RATE)] * len(cameras), path)
    cameras_path(path).write_text(to_json(cameras))


def write_mp4(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write one orbit around the scene as H.264, and its cameras as JSON next to it.

    The orbit starts at the picture's own camera; a few frames at a time are in memory. A picture without a scene is the
    only frame.

    Raises:
        RequestError: if the picture is larger than 8192 pixels a side.
        OSError: if a file cannot be written.
    """
    shown, cameras = turn(picture, count)
    write_h264(shown, picture.size, RATE, path)
    cameras_path(path).write_text(to_json(cameras))


def write_cameras(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write the cameras of the orbit in gif and mp4 files, as JSON; see `ddmi_nerf.cameras.camera.to_json`.

    Raises:
        OSError: if the file cannot be written.
    """
    path.write_text(to_json(turn(picture, count)[1]))


def turn(picture: Picture, count: int) -> tuple[Iterator[Bytes], list[Camera]]:
    """Frames of one orbit around a picture's scene, and their cameras; the picture itself if it has no scene."""
    if picture.scene is None:
        return iter([picture.pixels()]), [picture.camera]
    cameras = orbit(picture.camera, count)
    return frames(picture.scene, cameras), cameras


def write_glb(picture: Picture, path: Path) -> None:
    """Write the scene's coloured surface, see `glb_of`.

    A picture without a scene becomes a textured rectangle at its position in front of the camera.

    Raises:
        RequestError: if the density is not finite.
        OSError: if the file cannot be written.
    """
    scene = picture.scene
    path.write_bytes(rectangle(picture) if scene is None else glb_of(extract_mesh(scene)))


def glb_of(mesh: ColouredMesh) -> bytes:
    """A glTF file of a mesh, with y up as the format requires.

    Vertex colours are linear and unlit, because lighting is baked in. Without a surface, the file is valid and empty.
    """
    if not len(mesh.faces):
        return bytes(_trimesh().Trimesh().export(file_type="glb"))
    solid = _trimesh().Trimesh(
        _y_up(mesh.vertices),
        mesh.faces,
        vertex_normals=_y_up(mesh.normals),
        vertex_colors=_linear_bytes(mesh.colours),
        process=False,
    )
    return bytes(solid.export(file_type="glb", include_normals=True, tree_postprocessor=_unlit))


def rectangle(picture: Picture) -> bytes:
    """A glTF file of a picture as two triangles in front of its camera, at the depth of the world's origin."""
    camera, (rows, columns) = picture.camera, picture.size
    pose = camera.to_world
    depth = max(float(-camera.origin @ pose[:3, 2]), NEAREST)
    across, down = np.array([0, columns, columns, 0]), np.array([0, 0, rows, rows])
    local = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(4)], axis=1)
    corners = (depth * local @ pose[:3, :3].T + camera.origin).astype(np.float32)
    trimesh = _trimesh()
    # In trimesh, v points upwards from the lower edge.
    places = np.stack([across / columns, 1 - down / rows], axis=1)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(picture.pixels()))
    visual = trimesh.visual.TextureVisuals(uv=places, material=material)
    faces = [[0, 2, 1], [0, 3, 2]]
    solid = trimesh.Trimesh(_y_up(corners), faces, visual=visual, process=False)
    return bytes(solid.export(file_type="glb", tree_postprocessor=_unlit))


def picture(artefact: Picture) -> Image.Image | list[Image.Image]:
    """Frames of one orbit for a report, at most 128 pixels a side; the picture itself if it has no scene."""
    if artefact.scene is None:
        return Image.fromarray(artefact.pixels())
    rows, columns = artefact.size
    scale = min(1.0, THUMBNAIL / max(rows, columns))
    camera = artefact.camera.resized(max(1, round(columns * scale)), max(1, round(rows * scale)))
    return [Image.fromarray(pixels) for pixels in frames(artefact.scene, orbit(camera, SHOWN))]


def cameras_path(path: Path) -> Path:
    """Path of the cameras next to a file, which may still have its temporary name."""
    return path.with_name(ASIDE.sub("", path.name)).with_suffix(".json")


def _trimesh() -> Any:
    # Importing trimesh takes most of a second.
    import trimesh

    return trimesh


def _y_up(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], axis=1)


def _linear_bytes(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Convert sRGB colours in [-1, 1] to linear RGBA `(V, 4)` in bytes."""
    encoded = np.clip(colours / 2 + 0.5, 0, 1)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    found = np.full((len(colours), 4), 255, dtype=np.uint8)
    found[:, :3] = (linear * 255 + 0.5).astype(np.uint8)
    return found


def _unlit(tree: dict[str, Any]) -> None:
    """Give the only mesh an unlit material, with its texture if it has one."""
    plain: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    if tree.get("textures"):
        plain["baseColorTexture"] = {"index": 0}
    tree["materials"] = [{"pbrMetallicRoughness": plain, "extensions": {UNLIT: {}}, "doubleSided": True}]
    tree["extensionsUsed"] = [*tree.get("extensionsUsed", []), UNLIT]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0
