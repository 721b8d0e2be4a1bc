"""Frame decoders: their interface, and the default one, PyAV."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.index import Source, VideoIndex, damaged, opened_as
from ddmi_video.reading.limits import size_changes

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Frames(ABC):
    """A decoder of one video."""

    @abstractmethod
    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """Upright frames `(H, W, 3)`, one at a time.

        Args:
            numbers: indices of frames in the video's index, increasing.

        Raises:
            DataError: if a frame cannot be decoded, or has a different size.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the decoder and close the file that it opened."""


class PyavFrames(Frames):
    """PyAV: seeks by time stamp, or decodes on from the current position if that is nearer.

    Args:
        source: path, or open file.
        index: the video's index.
    """

    def __init__(self, source: Source, index: VideoIndex) -> None:
        self.source, self.index = source, index
        self.container: Any = None
        self.number = -1  # of the held frame
        self.held: VideoFrame | None = None
        self.ahead: VideoFrame | None = None  # already decoded, but shown after the held frame
        self._start()

    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """See `Frames`."""
        for number in numbers:
            yield self.index.orientation.upright(_rgb(self._frame(number)))

    def close(self) -> None:
        """See `Frames`."""
        if self.container is not None:
            self.container.close()
        self.container, self.held = None, None

    def _start(self) -> None:
        """Start decoding at the first frame."""
        import av

        self.close()
        try:
            self.container = av.open(opened_as(self.source))
        except av.error.FFmpegError as error:
            raise damaged(self.index.name, error) from error
        self.number, self.stream = -1, self.container.streams[self.index.stream]
        self.coming, self.ahead = self._decoded(), None

    def _decoded(self) -> Iterator[VideoFrame]:
        """Frames from the current position on, in the order of their time stamps."""
        for packet in self.container.demux(self.stream):
            if packet.size and packet.is_corrupt:  # the end is missing; the frames in the decoder are intact
                yield from self.stream.decode(None)
                return
            yield from packet.decode()

    def _frame(self, number: int) -> VideoFrame:
        """The frame of a number, or the previous one if the decoder skips it."""
        import av

        try:
            for key in (1, 2, 4):
                self._go_near(number, key)
                self._read_to(number)
                if self.number <= number:
                    break
            else:  # the container seeks to later key frames than requested
                self._start()
                self._read_to(number)
        except av.error.FFmpegError as error:
            self._start()
            raise self._broken(number, error.strerror) from error
        frame = self.held
        if frame is None or self.number > number or frame.is_corrupt:
            self._start()
            raise self._broken(number, "frames are missing")
        if (frame.height, frame.width) != self.index.orientation.stored:
            raise size_changes(self.index.name, self.index.orientation.stored, (frame.height, frame.width))
        return frame

    def _go_near(self, number: int, key: int) -> None:
        """Seek to the `key`-th last key frame before a frame, unless decoding on gets there sooner."""
        keys, ticks = self.index.keys, self.index.ticks
        before = int(np.searchsorted(keys, ticks[number], side="right")) - key
        if self.number <= number and (before < 0 or keys[before] <= ticks[max(self.number, 0)]):
            return
        if before < 0:
            self._start()
            return
        self.container.seek(int(keys[before]), stream=self.stream, backward=True)
        self.coming, self.ahead, self.held, self.number = self._decoded(), None, None, -1

    def _read_to(self, number: int) -> None:
        """Decode until the frame is held, or the frame after it has been decoded."""
        while self.number < number:
            frame = self.ahead or next(self.coming, None)
            if frame is None:
                return
            place = self._number_of(frame)
            if place > number and self.held is not None:
                self.ahead = frame
                return
            self.ahead, self.number, self.held = None, place, frame

    def _number_of(self, frame: VideoFrame) -> int:
        if self.index.counted:
            return self.number + 1
        if frame.pts is None:
            return self.number
        return int(np.searchsorted(self.index.ticks, frame.pts, side="right")) - 1

    def _broken(self, number: int, why: str | None) -> DataError:
        return DataError(
            f"{self.index.name}: damaged at {self.index.times[number]:.3f} s ({why}); copy it again, or cut it there: "
            f"ffmpeg -i IN -t {self.index.times[number]:.3f} OUT.mp4"
        )


def _rgb(frame: VideoFrame) -> Pixels:
    """Convert a stored frame to 8-bit RGB `(H, W, 3)`, with the colour matrix and range of the stream.

    Without a matrix, BT.601 is assumed; without a range, limited range: the defaults of FFmpeg. 8-bit frames with even
    sides take swscale's default path, on which all its versions agree bit for bit; others take the accurate one.
    """
    from av.video.reformatter import Interpolation as Scale

    plain = frame.width % 2 == frame.height % 2 == 0 and all(part.bits <= 8 for part in frame.format.components)
    exact = Scale.BILINEAR | Scale.ACCURATE_RND | Scale.FULL_CHR_H_INT
    rgb = frame.reformat(format="rgb24", interpolation=Scale.BILINEAR if plain else exact)
    return np.asarray(rgb.to_ndarray(), dtype=np.uint8)
