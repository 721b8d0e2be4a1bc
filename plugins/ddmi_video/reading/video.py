"""Video files: duration, size, time stamps, and frames at given times."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from ddmi_video.reading.backends import open_frames
from ddmi_video.reading.centre_crop import centre_crop
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.frame_colours import Look
from ddmi_video.reading.index import Source, VideoIndex
from ddmi_video.reading.indexing import index_video


class Video:
    """An open video file, read by time stamp.

    Decoding starts at the key frame before the first requested frame, and holds one frame at a time.

    Args:
        source: path, or open file.
        name: name for messages; the path by default.
        backend: `pyav`, `torchcodec` or `decord`, which give the same frames.
        look: what the settings say about colours.

    Raises:
        DataError: if it is not a readable video, or is beyond the `limits`.
        PluginError: if the back end is not installed.

    Example:
        >>> with Video(Path("a.mp4")) as video:
        ...     video.frames_at([0.0, 0.5, 1.0], side=64).shape
        (3, 3, 64, 64)
    """

    def __init__(
        self, source: Source, name: str | None = None, backend: str = "pyav", look: Look | None = None
    ) -> None:
        self.index: VideoIndex = index_video(source, name or str(source), whole=backend == "decord")
        self.frames = open_frames(backend, source, self.index, look or Look())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last one."""
        return self.index.duration

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of upright frames."""
        return self.index.orientation.size

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """`(N,)`, time stamps of the frames in seconds from the first one."""
        return self.index.times

    @property
    def missing(self) -> str:
        """What is missing at the end of the file, in words; empty if nothing."""
        return self.index.missing

    def frames_at(self, times: npt.ArrayLike, side: int | None = None) -> Pixels:
        """The frames shown at the given times, upright, in RGB.

        Args:
            times: `(T,)`, seconds from the first frame, in any order.
            side: crop to the central square and resize to this many rows and columns; the whole frame by default.

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
            small = centre_crop(frame, side, self.index.orientation.aspect) if side else frame.transpose(2, 0, 1)
            result[numbers == number] = small
        return result

    def close(self) -> None:
        """Release the decoder and close the file that it opened."""
        self.frames.close()
