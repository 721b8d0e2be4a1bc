"""Pictures of radiance fields as files: png, orbits as gif and mp4 with their cameras, and coloured meshes as glb."""

from __future__ import annotations

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

DEPTH_UNITS = 8192  # of a depth map, a unit of length
THUMBNAIL, SHOWN = 128, 16  # pixels a side and frames of an orbit in a report
NEAREST = 0.1  # depth of a rectangle whose camera does not look towards the middle
ASIDE = ".partial-"  # how names of files begin until they are complete
UNLIT = "KHR_materials_unlit"


def write_png(picture: Picture, path: Path) -> None:
    """Write the colours.

    Raises:
        OSError: if the file cannot be written.
    """
    Image.fromarray(picture.pixels()).save(path, "PNG")


def write_normals(picture: Picture, path: Path) -> None:
    """Write the normals as a png: x, y and z from -1 to 1 are red, green and blue from 0 to 255; nothing is white.

    Raises:
        OSError: if the file cannot be written.
    """
    Image.fromarray(picture.normal_map()).save(path, "PNG")


def write_depth(picture: Picture, path: Path) -> None:
    """Write the depth as a png of 16 bits: distance from the camera times 8192, and 0 where it is 8 or more.

    Pixels that show more of the background than of the object are 0 too.

    Raises:
        OSError: if the file cannot be written.
    """
    known = (picture.opacity > SURFACE) & (picture.depth * DEPTH_UNITS < 65535)
    values = np.where(known, picture.depth * DEPTH_UNITS + 0.5, 0).astype(np.uint16)
    Image.fromarray(values).save(path, "PNG")


def write_gif(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write one turn around the scene as an animation that repeats, and its cameras as JSON beside it.

    The turn begins with the picture's own camera. One frame at a time is in memory, in 256 colours of its own. A
    picture that was given, and has no scene, is the only frame.

    Raises:
        RequestError: if the picture is larger than 1024 pixels a side.
        OSError: if a file cannot be written.
    """
    shown, cameras = turn(picture, count)
    write_animated_gif(shown, picture.size, [int(100 / RATE)] * len(cameras), path)
    beside(path).write_text(to_json(cameras))


def write_mp4(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write one turn around the scene as H.264, and its cameras as JSON beside it.

    The turn begins with the picture's own camera; a few frames at a time are in memory. A picture that was given, and
    has no scene, is the only frame.

    Raises:
        RequestError: if the picture is larger than 8192 pixels a side.
        OSError: if a file cannot be written.
    """
    shown, cameras = turn(picture, count)
    write_h264(shown, picture.size, RATE, path)
    beside(path).write_text(to_json(cameras))


def write_cameras(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write the cameras of the turn that gif and mp4 files show, as JSON; see `ddmi_nerf.cameras.camera.to_json`.

    Raises:
        OSError: if the file cannot be written.
    """
    path.write_text(to_json(turn(picture, count)[1]))


def turn(picture: Picture, count: int) -> tuple[Iterator[Bytes], list[Camera]]:
    """Frames of one turn around what a picture shows, and their cameras; of a picture that was given, itself."""
    if picture.scene is None:
        return iter([picture.pixels()]), [picture.camera]
    cameras = orbit(picture.camera, count)
    return frames(picture.scene, cameras), cameras


def write_glb(picture: Picture, path: Path) -> None:
    """Write the scene's surface with its colours, as `glb_of` does.

    A picture that was given becomes a rectangle through the middle of the world, at its place in the camera's sight.

    Raises:
        RequestError: if the density is not finite.
        OSError: if the file cannot be written.
    """
    scene = picture.scene
    path.write_bytes(rectangle(picture) if scene is None else glb_of(extract_mesh(scene)))


def glb_of(mesh: ColouredMesh) -> bytes:
    """A glTF file of a mesh, with y up as the format has it.

    Colours are linear there, and shown as they are: the light is in them already. Without a surface, the file is valid
    and empty.
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
    """A glTF file of a picture as two triangles where its camera sees it, at the depth of the world's origin."""
    camera, (rows, columns) = picture.camera, picture.size
    pose = camera.to_world
    depth = max(float(-camera.origin @ pose[:3, 2]), NEAREST)
    across, down = np.array([0, columns, columns, 0]), np.array([0, 0, rows, rows])
    local = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(4)], axis=1)
    corners = (depth * local @ pose[:3, :3].T + camera.origin).astype(np.float32)
    trimesh = _trimesh()
    # Trimesh has v upwards from the lower side.
    places = np.stack([across / columns, 1 - down / rows], axis=1)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(picture.pixels()))
    visual = trimesh.visual.TextureVisuals(uv=places, material=material)
    faces = [[0, 2, 1], [0, 3, 2]]
    solid = trimesh.Trimesh(_y_up(corners), faces, visual=visual, process=False)
    return bytes(solid.export(file_type="glb", tree_postprocessor=_unlit))


def picture(artefact: Picture) -> Image.Image | list[Image.Image]:
    """Frames of one turn for a report, of at most 128 pixels a side; of a picture that was given, itself."""
    if artefact.scene is None:
        return Image.fromarray(artefact.pixels())
    rows, columns = artefact.size
    scale = min(1.0, THUMBNAIL / max(rows, columns))
    camera = artefact.camera.resized(max(1, round(columns * scale)), max(1, round(rows * scale)))
    return [Image.fromarray(pixels) for pixels in frames(artefact.scene, orbit(camera, SHOWN))]


def beside(path: Path) -> Path:
    """The path of the cameras beside a file, which itself may have another name until it is complete."""
    return path.with_name(path.name.removeprefix(ASIDE)).with_suffix(".json")


def _trimesh() -> Any:
    # Takes most of a second to import.
    import trimesh

    return trimesh


def _y_up(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], axis=1)


def _linear_bytes(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Colours in [-1, 1], encoded as sRGB, as linear ones `(V, 4)` in bytes."""
    encoded = np.clip(colours / 2 + 0.5, 0, 1)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    found = np.full((len(colours), 4), 255, dtype=np.uint8)
    found[:, :3] = (linear * 255 + 0.5).astype(np.uint8)
    return found


def _unlit(tree: dict[str, Any]) -> None:
    """Give the only mesh a material without light of its own, with the texture that it may have."""
    plain: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    if tree.get("textures"):
        plain["baseColorTexture"] = {"index": 0}
    tree["materials"] = [{"pbrMetallicRoughness": plain, "extensions": {UNLIT: {}}, "doubleSided": True}]
    tree["extensionsUsed"] = [*tree.get("extensionsUsed", []), UNLIT]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0
