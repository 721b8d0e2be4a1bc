"""Pictures of radiance fields as files: png, orbits as gif and mp4 with their cameras, and coloured meshes as glb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import write_animated_gif, write_h264
from ddmi_nerf.cameras import to_json
from ddmi_nerf.orbit import FRAMES, RATE, frames, orbit, scene_of
from ddmi_nerf.picture import Picture
from ddmi_nerf.scene import SURFACE
from ddmi_nerf.surface import ColouredMesh, surface

DEPTH_UNITS = 8192  # of a depth map, a unit of length
THUMBNAIL, SHOWN = 128, 16  # pixels a side and frames of an orbit in a report
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

    The turn begins with the picture's own camera. One frame at a time is in memory, in 256 colours of its own.

    Raises:
        RequestError: if the picture shows no field, or is larger than 1024 pixels a side.
        OSError: if a file cannot be written.
    """
    scene, cameras = scene_of(picture), orbit(picture.camera, count)
    write_animated_gif(frames(scene, cameras), picture.size, [int(100 / RATE)] * count, path)
    beside(path).write_text(to_json(cameras))


def write_mp4(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write one turn around the scene as H.264, and its cameras as JSON beside it.

    The turn begins with the picture's own camera; a few frames at a time are in memory.

    Raises:
        RequestError: if the picture shows no field, or is larger than 8192 pixels a side.
        OSError: if a file cannot be written.
    """
    cameras = orbit(picture.camera, count)
    write_h264(frames(scene_of(picture), cameras), picture.size, RATE, path)
    beside(path).write_text(to_json(cameras))


def write_cameras(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write the cameras of the turn that gif and mp4 files show, as JSON; see `ddmi_nerf.cameras.to_json`.

    Raises:
        OSError: if the file cannot be written.
    """
    path.write_text(to_json(orbit(picture.camera, count)))


def write_glb(picture: Picture, path: Path) -> None:
    """Write the scene's surface with its colours, as `glb_of` does.

    Raises:
        RequestError: if the picture shows no field, or its density is not finite.
        OSError: if the file cannot be written.
    """
    path.write_bytes(glb_of(surface(scene_of(picture))))


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
    """Give the only mesh a material without light of its own."""
    plain = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    tree["materials"] = [{"pbrMetallicRoughness": plain, "extensions": {UNLIT: {}}, "doubleSided": True}]
    tree["extensionsUsed"] = [*tree.get("extensionsUsed", []), UNLIT]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0
