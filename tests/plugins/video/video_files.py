"""Videos for tests, written by PyAV: frames that show their number, in many containers and codecs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from attrs import field, frozen

HEIGHT, WIDTH, FRAMES = 48, 64, 24
VARIED = (0, 3, 4, 9, 10, 12, 18, 19, 20, 25, 26, 31, 33, 34, 40, 41, 43, 48, 52, 53, 54, 60, 66, 67)  # in 1/50 s


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame `(H, W, 3)`: smooth colours, upright by its red and green, whose lightness tells its number."""
    y, x = np.mgrid[:height, :width]
    red = 20 + 70 * x / width
    green = 90 - 70 * y / height
    blue = np.full_like(red, 60)
    return (np.stack([red, green, blue], -1) + 150 * number / FRAMES).clip(0, 255).astype(np.uint8)


MEAN = picture(0).mean()


def numbers_of(frames: np.ndarray) -> list[int]:
    """The number that each of `(T, 3, H, W)` frames shows."""
    return np.rint((frames.mean(axis=(1, 2, 3)) - MEAN) * FRAMES / 150).astype(int).tolist()


@frozen
class Kind:
    """How a file is written, and when its frames are shown."""

    file: str
    codec: str
    options: dict[str, str] = field(factory=dict)
    pixels: str = "yuv420p"
    size: tuple[int, int] = (HEIGHT, WIDTH)
    rate: int = 25
    stamps: Sequence[int] = tuple(range(FRAMES))  # in 1/rate s
    turned: int = 0  # degrees, counterclockwise
    matrix: int | None = None  # as in ITU-T H.273
    full: bool = False  # the range of all 8 bits

    @property
    def times(self) -> np.ndarray:
        """`(N,)`, seconds from the first frame."""
        return (np.asarray(self.stamps) - self.stamps[0]) / self.rate


H264 = {"crf": "4", "g": "8", "bf": "3", "b_strategy": "0", "sc_threshold": "0"}
VP9 = {"crf": "4", "b": "0", "g": "8", "deadline": "realtime", "cpu-used": "8"}
KINDS = {
    "h264": Kind("h264.mp4", "libx264", H264),
    "h264-later": Kind("later.mp4", "libx264", H264, stamps=range(13, 13 + FRAMES)),
    "h264-avi": Kind("h264.avi", "libx264", H264),
    "mov": Kind("h264.mov", "libx264", H264, pixels="yuv444p"),
    "mpeg4": Kind("mpeg4.mp4", "mpeg4", {"bf": "2", "g": "8", "b": "4M"}),
    "mpeg4-avi": Kind("mpeg4.avi", "mpeg4", {"g": "8", "b": "4M"}),
    "vp9": Kind("vp9.webm", "libvpx-vp9", VP9, rate=30),
    "varied-mp4": Kind("varied.mp4", "libx264", H264, rate=50, stamps=VARIED),
    "varied-mkv": Kind("varied.mkv", "libx264", H264, rate=50, stamps=VARIED),
    "turned-90": Kind("turned90.mp4", "libx264", H264, turned=90),
    "turned-180": Kind("turned180.mov", "libx264", H264, turned=180),
    "turned-270": Kind("turned270.mov", "libx264", H264, turned=-90),
    "narrow": Kind("narrow.mp4", "libx264", H264, size=(64, 48)),
    "near-keys": Kind("near.mp4", "libx264", {"crf": "4", "g": "8", "bf": "3"}, rate=50, stamps=VARIED),
    "open-groups": Kind("open.mp4", "libx264", {**H264, "x264-params": "open-gop=1"}),
    "interlaced": Kind("interlaced.mp4", "libx264", {**H264, "x264-params": "tff=1"}),
    "odd": Kind("odd.mp4", "mpeg4", {"b": "4M"}, size=(47, 63)),
    "gif": Kind("a.gif", "gif", pixels="rgb8", rate=20),
    "ten-bit": Kind("ten.mp4", "libx264", H264, pixels="yuv420p10le"),
    "bt709": Kind("bt709.mp4", "libx264", H264, matrix=1),
    "full-range": Kind("full.mp4", "libx264", H264, pixels="yuvj420p", full=True),
}


def write(folder: Path, kind: Kind, name: str | None = None) -> Path:
    """Write a file of a kind."""
    path = folder / (name or kind.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(kind.codec, rate=kind.rate, options=kind.options)
        stream.height, stream.width = kind.size
        stream.codec_context.thread_count = 1  # x264's bytes depend on the number
        stream.pix_fmt, stream.codec_context.time_base = kind.pixels, Fraction(1, kind.rate)
        if kind.turned:
            stream.set_display_rotation(kind.turned)
        colours: dict[str, Any] = {}
        if kind.matrix:
            stream.codec_context.colorspace = colours["dst_colorspace"] = kind.matrix
        if kind.full:
            stream.codec_context.color_range = colours["dst_color_range"] = 2
        for number, stamp in enumerate(kind.stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, *kind.size), format="rgb24")
            frame = frame.reformat(format=kind.pixels, **colours)
            frame.pts, frame.time_base = stamp, Fraction(1, kind.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_planes(
    path: Path, planes: Sequence[np.ndarray], pixels: str, tags: dict[str, int], codec: str = "libx264", late: int = 0
) -> Path:
    """Write 24 equal frames, given as the planes `(h, w)` of a pixel format; `late` is in 1/25 s."""
    options = {"libx264": {"crf": "1"}, "libvpx-vp9": {**VP9, "auto-alt-ref": "0"}}.get(codec, {})
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        (stream.height, stream.width), stream.pix_fmt = planes[0].shape, pixels
        stream.codec_context.thread_count = 1
        frame = av.VideoFrame(stream.width, stream.height, pixels)
        for target in (stream.codec_context, frame):
            for tag, value in tags.items():
                setattr(target, tag, value)
        for plane, values in zip(frame.planes, planes, strict=True):
            row = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
            row[:, : values.shape[1]] = values
            plane.update(row.tobytes())
        for number in range(FRAMES):
            frame.pts, frame.time_base = number + late, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(path: Path, frames: Sequence[int]) -> None:
    """Overwrite the data of some frames of a file, by their place in the order of decoding."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in frames:
        place, size = packets[number].pos, packets[number].size
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
