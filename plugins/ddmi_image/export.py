"""Export of pictures: PNG of any size in strips, JPEG and WebP in memory, and pictures for reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import png
from PIL import Image

from ddmi_core.errors import RequestError
from ddmi_core.parts import GridArtefact

COMPRESSION = 3  # zlib level; higher ones take much longer and save little
LARGEST_SMALL = 8192  # largest width or height of a picture that is written from memory
THUMBNAIL = 1024


def write_png(artefact: GridArtefact, path: Path) -> None:
    """Write a PNG of any size, with one strip in memory at a time.

    Raises:
        OSError: if the file cannot be written.
    """
    height, width = artefact.size
    alpha = artefact.channels == 4
    writer = png.Writer(width, height, greyscale=False, alpha=alpha, bitdepth=8, compression=COMPRESSION)
    with path.open("wb") as file:
        writer.write(file, _rows(artefact))


def write_small(artefact: GridArtefact, path: Path) -> None:
    """Write JPEG or WebP, by the suffix; both need the whole picture in memory. JPEG shows transparency over white.

    Raises:
        RequestError: if the picture is larger than 8192 pixels a side.
        OSError: if the file cannot be written.
    """
    if max(artefact.size) > LARGEST_SMALL:
        raise RequestError(
            f"{path.suffix} files are written up to {LARGEST_SMALL} x {LARGEST_SMALL} pixels; "
            f"this picture has {artefact.size[1]} x {artefact.size[0]}, which .png can hold"
        )
    image = Image.fromarray(pixels(artefact.array()))
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}[path.suffix.lower()]
    if kind == "JPEG" and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    image.save(path, kind, quality=95)


def picture(artefact: GridArtefact) -> Image.Image:
    """The picture for a report, at most 1024 pixels along its longer side."""
    longest = max(artefact.size)
    if longest > THUMBNAIL:
        size = tuple(max(1, length * THUMBNAIL // longest) for length in artefact.size)
        artefact = artefact.at(size)
    return Image.fromarray(pixels(artefact.array()))


def pixels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Round values in [-1, 1] to bytes; with a fourth channel, colours are divided by it.

    Args:
        values: `(..., 3)`, or `(..., 4)` with premultiplied colours.
    """
    if values.shape[-1] == 4:
        opacity = np.clip((values[..., 3:] + 1) / 2, 0, 1)
        straight = np.clip((values[..., :3] + 1) / 2, 0, 1) / np.maximum(opacity, 1 / 255)
        values = np.concatenate([straight, opacity], axis=-1) * 2 - 1
    scaled: npt.NDArray[np.uint8] = np.clip(values * 127.5 + 128.0, 0, 255).astype(np.uint8)
    return scaled


def _rows(artefact: GridArtefact) -> Iterator[npt.NDArray[np.uint8]]:
    for slab in artefact.slabs():
        yield from pixels(slab).reshape(len(slab), -1)
