"""Objects with views as files: cars in all formats of cameras."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ddmi_nerf.cameras import srn
from ddmi_nerf.cameras.camera import Shot
from ddmi_nerf.cameras.transforms import write_blender, write_nerfstudio
from ddmi_nerf.data.cars import car
from ddmi_nerf.data.cars.source import cameras, picture


def views(number=3, count=8, size=24, scale=1.0):
    """Cameras around a car whose world is larger by a factor, and pictures `(V, H, W, 4)`."""
    one = car(number)
    seen = cameras(count, size, np.random.default_rng(number))
    pictures = [picture(one.model, camera) for camera in seen]
    return [camera.placed(np.zeros(3), 1 / scale) for camera in seen], pictures


def save(path: Path, pixels, alpha=True):
    """A picture with straight alpha, or over white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour, cover = pixels[..., :3].astype(float), pixels[..., 3:].astype(float) / 255
    if alpha:
        straight = np.divide(colour, cover, out=np.zeros_like(colour), where=cover > 0)
        pixels = np.rint(np.concatenate([straight, 255 * cover], axis=-1)).clip(0, 255)
    else:
        pixels = np.rint(colour + 255 * (1 - cover))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def blender(folder: Path, number=3, count=8, size=24, scale=1.5, alpha=True, write=write_blender):
    """A car as Blender's files, in the usual box of NeRF's synthetic scenes."""
    seen, pictures = views(number, count, size, scale)
    shots = [Shot(camera, f"images/{place}.png") for place, camera in enumerate(seen)]
    for shot, pixels in zip(shots, pictures, strict=True):
        save(folder / shot.picture, pixels, alpha)
    (folder / "transforms.json").write_text(write(shots))
    return folder


def nerfstudio(folder: Path, number=3, count=8, size=24, scale=1.0, alpha=True):
    """A car as nerfstudio's files."""
    return blender(folder, number, count, size, scale, alpha, write_nerfstudio)


def srn_object(folder: Path, number=3, count=8, size=24, alpha=False):
    """A car as SRN's files."""
    seen, pictures = views(number, count, size, srn.SRN_EXTENT)
    (folder / "pose").mkdir(parents=True)
    for place, (camera, pixels) in enumerate(zip(seen, pictures, strict=True)):
        intrinsics, pose = srn.write_srn(camera)
        (folder / "intrinsics.txt").write_text(intrinsics)
        (folder / "pose" / f"{place:06d}.txt").write_text(pose)
        save(folder / "rgb" / f"{place:06d}.png", pixels, alpha)
    return folder


def edited(folder, change):
    """Change the content of the camera file of an object in nerfstudio's format."""
    path = folder / "transforms.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
