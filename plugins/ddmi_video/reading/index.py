"""The index of a video: time stamps of its frames, key frames, and display orientation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_video.reading.display_orientation import Orientation
from ddmi_video.reading.frame_colours import FrameColours

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.video.stream import VideoStream

Source: TypeAlias = Path | BinaryIO
Ticks = npt.NDArray[np.int64]

LEAST_TOLERANCE, MOST_TOLERANCE = 1e-6, 5e-4  # seconds


@frozen(eq=False)
class VideoIndex:
    """Facts about a video stream from its packets and its first frame."""

    name: str
    stream: int  # number of the stream in the file
    ticks: Ticks  # (N,) presentation time stamps, increasing
    tick: float  # seconds per tick
    length: int  # ticks that the last frame is shown for
    keys: Ticks  # (K,) time stamps of key frames to which a seek leads, increasing
    orientation: Orientation
    colours: FrameColours
    interlaced: bool
    others: int  # further streams of pictures in the file
    counted: bool  # time stamps of decoded frames are unreliable, so frames are counted
    special: str  # why only PyAV reads it exactly; empty if all back ends agree
    missing: str  # what is missing at the end; empty if nothing

    @cached_property
    def times(self) -> npt.NDArray[np.float64]:
        """`(N,)`, presentation times of the frames in seconds, from the first frame."""
        return np.asarray((self.ticks - self.ticks[0]) * self.tick, dtype=np.float64)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last one."""
        return float(self.times[-1]) + self.length * self.tick

    def shown_at(self, times: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The index of the frame shown at each time: the last one whose time stamp is not later.

        Containers round time stamps to whole ticks, so stamps may be late by half a tick, up to half a millisecond.

        Args:
            times: `(T,)`, seconds.

        Raises:
            DataError: if a time is outside the video.
        """
        wanted = np.asarray(times, dtype=np.float64)
        tolerance = min(self.tick / 2, MOST_TOLERANCE) + LEAST_TOLERANCE
        if len(wanted) and (wanted.min() < -tolerance or wanted.max() > self.duration + tolerance):
            raise DataError(
                f"{self.name}: there is no frame at {wanted.min():.3f} to {wanted.max():.3f} s; "
                f"it is {self.duration:.3f} s long"
            )
        return np.maximum(np.searchsorted(self.times, wanted + tolerance, side="right") - 1, 0)


def opened_as(source: Source) -> str | BinaryIO:
    """The path if the file is on disk, which is faster to read; otherwise the open file, at its start."""
    if isinstance(source, Path):
        return str(source)
    name = getattr(source, "name", None)
    if isinstance(name, str) and Path(name).is_file():
        return name
    source.seek(0)
    return source


@contextmanager
def container(source: Source, name: str) -> Iterator[InputContainer]:
    """Open a container; errors of FFmpeg become a DataError with the name."""
    import av

    try:
        with av.open(opened_as(source), mode="r", metadata_errors="replace") as opened:
            yield opened
    except av.error.FFmpegError as error:
        raise damaged(name, error) from error


def alpha_decoder(stream: VideoStream, name: str) -> CodecContext | None:
    """The decoder that also reads the transparency of VP8 and VP9, which FFmpeg's own ones leave out; None for others.

    Raises:
        DataError: if this FFmpeg does not have it.
    """
    import av

    decoder = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if decoder is None or stream.metadata.get("alpha_mode") != "1":
        return None
    try:
        return av.CodecContext.create(decoder, "r")
    except av.codec.codec.UnknownCodecError as error:
        raise DataError(
            f"{name}: its transparency needs FFmpeg's decoder {decoder}, which this PyAV does not have; convert it "
            f"with a full FFmpeg: ffmpeg -c:v {decoder} -i IN -c:v ffv1 OUT.mkv"
        ) from error


def damaged(name: str, error: Exception) -> DataError:
    """The error for a file that FFmpeg cannot read."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(
        f"{name}: not a video, damaged, or cut short before its index ({text}); "
        "copy it again, or repair it with: ffmpeg -i IN -c copy OUT.mkv"
    )
