"""Moving pictures as files, written frame by frame."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import GifImagePlugin, Image

from ddmi_core.errors import RequestError

FRAME = 83  # milliseconds: 12 frames a second
FRAME_QUALITY = 90  # of animated WebP, which is half as large as animated PNG for drawings that turn

Drawn = Image.Image | Sequence[Image.Image]  # what `Domain.picture` gives


def encoded(drawn: Drawn, *, small: bool = True) -> tuple[str, bytes]:
    """Media type and bytes: PNG of a picture, WebP of the frames of an animation that repeats.

    Args:
        drawn: a picture, or frames.
        small: whether a smaller PNG file is worth more time.
    """
    stream = io.BytesIO()
    frames = [drawn] if isinstance(drawn, Image.Image) else list(drawn)
    first, *others = frames
    if others:
        first.save(stream, "WEBP", save_all=True, append_images=others, duration=FRAME, loop=0, quality=FRAME_QUALITY)
        return "image/webp", stream.getvalue()
    first.save(stream, "PNG", **({"optimize": True} if small else {"compress_level": 1}))
    return "image/png", stream.getvalue()


Frame = npt.NDArray[np.uint8]  # (rows, columns, 3)

QUALITY = 18  # constant rate factor of x264, near to what the eye can tell
LEAST, LARGEST = 2, 8192  # rows and columns
LARGEST_GIF = 1024


def write_h264(frames: Iterable[Frame], size: tuple[int, int], rate: float, path: Path) -> None:
    """Write an mp4 file of H.264 with 4:2:0 colours, which browsers and players show.

    Args:
        frames: `(rows, columns, 3)` each, bytes; only a few are in memory at a time.
        size: rows and columns of a frame; where they are odd, the last row or column is shown twice.
        rate: frames a second.
        path: of the file.

    Raises:
        RequestError: if the frames are larger than 8192 pixels a side.
        OSError: if the file cannot be written.
    """
    import av

    rows, columns = size
    if max(size) > LARGEST:
        raise RequestError(f"mp4 files hold frames up to {LARGEST} pixels a side; {columns} x {rows} is too large")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(90000))
        stream.height, stream.width = (max(LEAST, side + side % 2) for side in size)
        stream.pix_fmt = "yuv420p"
        # x264's trees of macroblocks differ from call to call on some processors, and so would the files.
        colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709"
        stream.options = {"crf": str(QUALITY), "preset": "medium", "x264-params": f"{colours}:mbtree=0"}
        # Each thread keeps a frame of its own in flight.
        stream.codec_context.thread_count = 2
        padding = ((0, stream.height - rows), (0, stream.width - columns), (0, 0))
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.pad(pixels, padding, mode="edge"), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def write_animated_gif(frames: Iterable[Frame], size: tuple[int, int], shown: Iterable[int], path: Path) -> None:
    """Write a gif file that repeats, each frame in 256 colours of its own; one frame at a time is in memory.

    Args:
        frames: `(rows, columns, 3)` each, bytes.
        size: rows and columns of a frame.
        shown: hundredths of a second that each frame is shown.
        path: of the file.

    Raises:
        RequestError: if the frames are larger than 1024 pixels a side.
        OSError: if the file cannot be written.
    """
    rows, columns = size
    if max(size) > LARGEST_GIF:
        raise RequestError(f"gif files are written up to {LARGEST_GIF} pixels a side; .mp4 holds larger frames")
    with path.open("wb") as file:
        file.write(struct.pack("<6sHHBBB", b"GIF89a", columns, rows, 0, 0, 0))
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # repeats for ever
        for pixels, hundredths in zip(frames, shown, strict=True):
            drawn = Image.fromarray(pixels).quantize(256, method=Image.Quantize.MEDIANCUT)
            file.writelines(GifImagePlugin.getdata(drawn, duration=10 * hundredths, include_color_table=True))
        file.write(b";")
