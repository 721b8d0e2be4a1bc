"""One interface to videos: their duration, size and time stamps, and their frames at given times."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from ddmi_video.reading.backends import open_frames
from ddmi_video.reading.index import Source, VideoIndex
from ddmi_video.reading.indexing import index_video
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.squares import central_square


class Video:
    """An open video file, read by time stamp.

    Frames are decoded from the key frame before the first wanted one, one at a time.

    Args:
        source: path, or open file.
        name: name for messages; the path if left out.
        backend: `pyav`, `torchcodec` or `decord`. All give the same frames.

    Raises:
        DataError: if it is no video that can be read; see `limits` for what is refused.
        PluginError: if the back end is not installed.

    Example:
        >>> with Video(Path("a.mp4")) as video:
        ...     video.frames_at([0.0, 0.5, 1.0], side=64).shape
        (3, 3, 64, 64)
    """

    def __init__(self, source: Source, name: str | None = None, backend: str = "pyav") -> None:
        self.index: VideoIndex = index_video(source, name or str(source), whole=backend == "decord")
        self.frames = open_frames(backend, source, self.index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def duration(self) -> float:
        """Seconds from the first frame until the last is no longer shown."""
        return self.index.duration

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of upright frames."""
        return self.index.posture.size

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """`(N,)`, time stamps of the frames in seconds from the first."""
        return self.index.times

    @property
    def missing(self) -> str:
        """What is missing at the end of the file, in words; empty if nothing is."""
        return self.index.missing

    def frames_at(self, times: npt.ArrayLike, side: int | None = None) -> Pixels:
        """The frames that are shown at some times, upright, in RGB.

        Args:
            times: `(T,)`, seconds from the first frame, in any order.
            side: take the central square, and reduce it to this many rows and columns; otherwise the whole frame.

        Returns:
            `(T, 3, H, W)`.

        Raises:
            DataError: if a time is outside the video, or a frame cannot be decoded.
        """
        numbers = self.index.shown_at(times)
        shape = (side, side) if side else self.size
        result = np.empty((len(numbers), 3, *shape), dtype=np.uint8)
        wanted = np.unique(numbers)
        for number, frame in zip(wanted, self.frames.get(wanted.tolist()), strict=True):
            small = central_square(frame, side, self.index.posture.aspect) if side else frame.transpose(2, 0, 1)
            result[numbers == number] = small
        return result

    def close(self) -> None:
        """Give the file and the decoder back."""
        self.frames.close()
