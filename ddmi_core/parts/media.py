"""Image and video encoding: PNG, animated WebP, H.264 and GIF."""

from __future__ import annotations

import base64
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

FRAME = 83  # milliseconds: 12 frames per second
FRAME_QUALITY = 90  # of animated WebP, which is half as large as animated PNG for rotating drawings
QUALITY = 18  # constant rate factor of x264, nearly lossless to the eye
LEAST, LARGEST = 2, 8192  # rows and columns of mp4 files
LARGEST_GIF = 1024
# Formats that browsers play; a fixed table, because `mimetypes` depends on the machine and lists many other formats.
PLAYABLE = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}

Drawn = Image.Image | Sequence[Image.Image]  # result of `Domain.picture`
Frame = npt.NDArray[np.uint8]  # (rows, columns, 3)


def frames_of(drawn: Drawn) -> list[Image.Image]:
    """The frames of an animation; a picture is one."""
    return [drawn] if isinstance(drawn, Image.Image) else list(drawn)


def encoded(drawn: Drawn, *, small: bool = True) -> tuple[str, bytes]:
    """Media type and bytes: PNG for a picture, looping WebP for the frames of an animation.

    Args:
        drawn: a picture, or frames.
        small: whether to spend more time on a smaller PNG file.
    """
    stream = io.BytesIO()
    first, *others = frames_of(drawn)
    if others:
        first.save(stream, "WEBP", save_all=True, append_images=others, duration=FRAME, loop=0, quality=FRAME_QUALITY)
        return "image/webp", stream.getvalue()
    first.save(stream, "PNG", **({"optimize": True} if small else {"compress_level": 1}))
    return "image/png", stream.getvalue()


def playable(suffix: str) -> str:
    """Media type of files with a suffix if browsers play them; otherwise empty."""
    return PLAYABLE.get(suffix.lower(), "")


def data_url(kind: str, data: bytes) -> str:
    """Bytes of a media type as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def write_h264(frames: Iterable[Frame], size: tuple[int, int], rate: float, path: Path) -> None:
    """Write an mp4 file of H.264 with 4:2:0 colours, which browsers and players support.

    Args:
        frames: `(rows, columns, 3)` each, bytes; only a few are in memory at a time.
        size: rows and columns of a frame; the last row or column is repeated if the number is odd.
        rate: frames per second.
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
        # x264's macroblock-tree rate control (mbtree) is not deterministic on some processors.
        colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709"
        stream.options = {"crf": str(QUALITY), "preset": "medium", "x264-params": f"{colours}:mbtree=0"}
        # Each thread holds one frame in memory.
        stream.codec_context.thread_count = 2
        padding = ((0, stream.height - rows), (0, stream.width - columns), (0, 0))
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.pad(pixels, padding, mode="edge"), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def write_animated_gif(frames: Iterable[Frame], size: tuple[int, int], shown: Iterable[int], path: Path) -> None:
    """Write a looping gif file with a palette of 256 colours per frame; one frame at a time is in memory.

    Args:
        frames: `(rows, columns, 3)` each, bytes.
        size: rows and columns of a frame.
        shown: duration of each frame in hundredths of a second.
        path: of the file.

    Raises:
        RequestError: if the frames are larger than 1024 pixels a side.
        OSError: if the file cannot be written.
    """
    rows, columns = size
    if max(size) > LARGEST_GIF:
        raise RequestError(f"gif files hold frames up to {LARGEST_GIF} pixels a side; use .mp4 for larger frames")
    with path.open("wb") as file:
        file.write(struct.pack("<6sHHBBB", b"GIF89a", columns, rows, 0, 0, 0))
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # loop forever
        for pixels, hundredths in zip(frames, shown, strict=True):
            drawn = Image.fromarray(pixels).quantize(256, method=Image.Quantize.MEDIANCUT)
            file.writelines(GifImagePlugin.getdata(drawn, duration=10 * hundredths, include_color_table=True))
        file.write(b";")
