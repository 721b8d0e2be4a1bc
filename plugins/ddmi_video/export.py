"""Clips as files, written frame by frame: H.264 in mp4, gif, and numbered PNG pictures in a zip archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.errors import RequestError
from ddmi_core.parts import GridArtefact

Frame = npt.NDArray[np.uint8]  # (rows, columns, 3)

QUALITY = 18  # constant rate factor of x264, near to what the eye can tell
FINEST = 100  # gif shows times in hundredths of a second, and viewers slow down below two of them
LARGEST_GIF = 1024
LEAST = 2  # rows and columns of H.264
LARGEST_H264 = 8192
THUMBNAIL, MOST_SHOWN = 192, 64  # pixels a side and frames of a clip in a report


def frames(artefact: GridArtefact) -> Iterator[Frame]:
    """Yield frames as bytes, each computed when it is asked for."""
    for slab in artefact.slabs():
        yield from np.clip(slab * 127.5 + 128.0, 0, 255).astype(np.uint8)


def rate(artefact: GridArtefact) -> float:
    """Frames a second."""
    return artefact.size[0] / artefact.extent[0]


def write_mp4(artefact: GridArtefact, path: Path) -> None:
    """Write H.264 with 4:2:0 colours, which browsers and players show; odd sides get one more row or column.

    Raises:
        RequestError: if the frames are larger than 8192 pixels a side.
        OSError: if the file cannot be written.
    """
    import av

    _, rows, columns = artefact.size
    if max(rows, columns) > LARGEST_H264:
        raise RequestError(f"mp4 files hold frames up to {LARGEST_H264} pixels a side; {columns} x {rows} is too large")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(rate(artefact)).limit_denominator(90000))
        stream.width, stream.height, stream.pix_fmt = (
            max(LEAST, columns + columns % 2),
            max(LEAST, rows + rows % 2),
            "yuv420p",
        )
        # Threads of their own keep dozens of frames in flight.
        stream.options = {
            "crf": str(QUALITY),
            "preset": "medium",
            "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709",
        }
        stream.codec_context.thread_count = 2
        padding = ((0, stream.height - rows), (0, stream.width - columns), (0, 0))
        for pixels in frames(artefact):
            frame = av.VideoFrame.from_ndarray(np.pad(pixels, padding, mode="edge"), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def write_gif(artefact: GridArtefact, path: Path) -> None:
    """Write an animation that repeats, of 256 colours; its frame rate is the nearest of whole hundredths of a second.

    Raises:
        RequestError: if the frames are larger than 1024 pixels a side.
        OSError: if the file cannot be written.
    """
    if max(artefact.size[1:]) > LARGEST_GIF:
        raise RequestError(f"gif files are written up to {LARGEST_GIF} pixels a side; .mp4 holds larger frames")
    hundredths = max(2, round(FINEST / rate(artefact)))
    drawn = (Image.fromarray(frame).quantize(256, method=Image.Quantize.MEDIANCUT) for frame in frames(artefact))
    with path.open("wb") as file:
        next(drawn).save(file, "GIF", save_all=True, append_images=drawn, duration=10 * hundredths, loop=0, disposal=1)


def write_frames(artefact: GridArtefact, path: Path) -> None:
    """Write each frame as a PNG picture in a zip archive: `00000.png`, `00001.png`, ...

    Raises:
        OSError: if the file cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, pixels in enumerate(frames(artefact)):
            drawn = io.BytesIO()
            Image.fromarray(pixels).save(drawn, "PNG")
            # A date of its own would make two archives of one clip differ.
            archive.writestr(zipfile.ZipInfo(f"{number:05d}.png"), drawn.getvalue())


def picture(artefact: GridArtefact) -> list[Image.Image] | Image.Image:
    """The frames for a report, at most 64 of at most 192 pixels a side; a slice through time is one picture."""
    count, rows, columns = artefact.size
    if rows == 1:
        return Image.fromarray(np.concatenate(list(frames(artefact))))
    scale = min(1.0, THUMBNAIL / max(rows, columns))
    size = (min(count, MOST_SHOWN), max(1, round(rows * scale)), max(1, round(columns * scale)))
    return [Image.fromarray(frame) for frame in frames(artefact if size == artefact.size else artefact.at(size))]
