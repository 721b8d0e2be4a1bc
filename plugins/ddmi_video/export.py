"""Export of clips frame by frame: H.264 in mp4, animated gif, and a zip archive of PNG pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridArtefact, write_animated_gif, write_h264

Frame = npt.NDArray[np.uint8]  # (rows, columns, 3)

UNITS = 100  # units of time in a gif, per second
LEAST_UNITS, MOST_UNITS = 2, 65535  # duration of a frame; viewers slow down shorter ones
FASTEST_GIF = UNITS / LEAST_UNITS
THUMBNAIL, MOST_SHOWN = 192, 64  # largest side in pixels, and most frames, of a clip in a report


def frames(artefact: GridArtefact) -> Iterator[Frame]:
    """Yield frames as bytes; each is computed when requested."""
    for slab in artefact.slabs():
        yield from np.clip(slab * 127.5 + 128.0, 0, 255).astype(np.uint8)


def rate(artefact: GridArtefact) -> float:
    """Frames per second."""
    return artefact.size[0] / artefact.extent[0]


def write_mp4(artefact: GridArtefact, path: Path) -> None:
    """Write H.264 with 4:2:0 chroma subsampling; odd sides are padded by one row or column.

    Raises:
        RequestError: if a side of the frames is longer than 8192 pixels.
        OSError: if the file cannot be written.
    """
    _, rows, columns = artefact.size
    write_h264(frames(artefact), (rows, columns), rate(artefact), path)


def write_gif(artefact: GridArtefact, path: Path) -> None:
    """Write a looping gif with a palette of 256 colours per frame.

    Frame times are rounded to hundredths of a second, the unit of the format, without drift. Above 50 frames per
    second, which viewers slow down, the clip is rendered at 50.

    Raises:
        RequestError: if a side of the frames is longer than 1024 pixels.
        OSError: if the file cannot be written.
    """
    seconds, (_, rows, columns) = artefact.extent[0], artefact.size
    if rate(artefact) > FASTEST_GIF:
        artefact = artefact.at((max(1, int(seconds * FASTEST_GIF)), rows, columns))
    starts = [round(UNITS * seconds * number / artefact.size[0]) for number in range(artefact.size[0] + 1)]
    shown = [min(max(LEAST_UNITS, end - start), MOST_UNITS) for start, end in pairwise(starts)]
    write_animated_gif(frames(artefact), (rows, columns), shown, path)


def write_frames(artefact: GridArtefact, path: Path) -> None:
    """Write each frame as a PNG picture in a zip archive: `00000.png`, `00001.png`, ...

    Raises:
        OSError: if the file cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, pixels in enumerate(frames(artefact)):
            drawn = io.BytesIO()
            Image.fromarray(pixels).save(drawn, "PNG")
            # No date, so that two archives of the same clip are equal.
            archive.writestr(zipfile.ZipInfo(f"{number:05d}.png"), drawn.getvalue())


def picture(artefact: GridArtefact) -> list[Image.Image]:
    """The frames for a report, at most 64, at most 192 pixels a side; a slice through time is a single picture."""
    count, rows, columns = artefact.size
    if rows == 1:
        return [Image.fromarray(np.concatenate(list(frames(artefact))))]
    scale = min(1.0, THUMBNAIL / max(rows, columns))
    size = (min(count, MOST_SHOWN), max(1, round(rows * scale)), max(1, round(columns * scale)))
    return [Image.fromarray(frame) for frame in frames(artefact if size == artefact.size else artefact.at(size))]
