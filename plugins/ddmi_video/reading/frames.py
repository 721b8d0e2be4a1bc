"""Frame decoders: their interface, and the default one, PyAV."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.frame_colours import Look, converted
from ddmi_video.reading.index import Source, VideoIndex, alpha_decoder, damaged, opened_as
from ddmi_video.reading.limits import size_changes

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


_TICK = Fraction(1, 1000)  # of a filter that looks at the order of frames alone


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
        look: what the settings say about colours.
    """

    def __init__(self, source: Source, index: VideoIndex, look: Look) -> None:
        self.source, self.index, self.look = source, index, look
        self.recent: dict[int, VideoFrame] = {}  # of interlaced streams
        self.container: Any = None
        self.number = -1  # of the held frame
        self.held: VideoFrame | None = None
        self.ahead: VideoFrame | None = None  # already decoded, but shown after the held frame
        self._start()

    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """See `Frames`."""
        for number in numbers:
            frame = self._deinterlaced(number) if self.index.interlaced else self._frame(number)
            yield self.index.orientation.upright(converted(frame, self.index.colours, self.look))

    def close(self) -> None:
        """See `Frames`."""
        if self.container is not None:
            self.container.close()
        self.container, self.held = None, None
        self.recent.clear()

    def _start(self) -> None:
        """Start decoding at the first frame."""
        import av

        self.close()
        try:
            self.container = av.open(opened_as(self.source), metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise damaged(self.index.name, error) from error
        self.number, self.stream = -1, self.container.streams[self.index.stream]
        self.decoder: Any = alpha_decoder(self.stream, self.index.name) or self.stream
        self.coming, self.ahead = self._decoded(), None

    def _decoded(self) -> Iterator[VideoFrame]:
        """Frames from the current position on, in the order of their time stamps."""
        for packet in self.container.demux(self.stream):
            if packet.size and packet.is_corrupt:  # the end is missing; the frames in the decoder are intact
                yield from self.decoder.decode(None)
                return
            yield from self.decoder.decode(packet if packet.size else None)

    def _deinterlaced(self, number: int) -> VideoFrame:
        """A frame without combs, which takes those before and after it."""
        near = range(max(number - 1, 0), min(number + 2, len(self.index.ticks)))
        kept = {each: self.recent[each] for each in near if each in self.recent}
        frames = {each: kept[each] if each in kept else self._frame(each) for each in near}
        self.recent = frames
        return deinterlaced(list(frames.values()), number - near[0])

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
        if self.decoder is not self.stream:
            self.decoder.flush_buffers()
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


def deinterlaced(frames: Sequence[VideoFrame], wanted: int) -> VideoFrame:
    """One of consecutive frames, with the rows of its second field estimated from the first one by FFmpeg's bwdif.

    Frames that are not marked as interlaced stay as they are.

    Args:
        frames: the frame, and those before and after it if there are any.
        wanted: its place among them.
    """
    from av.error import BlockingIOError as NotYet
    from av.error import EOFError as End
    from av.filter import Graph

    frame, graph, done = frames[wanted], Graph(), list[Any]()
    first = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_TICK)
    last = graph.add("buffersink")
    graph.link_nodes(first, graph.add("bwdif", "mode=send_frame:deint=interlaced"), last).configure()
    for each in (*frames, None):
        first.push(each)
        with suppress(NotYet, End):
            while True:
                done.append(last.pull())
    found: VideoFrame = done[wanted]
    return found
