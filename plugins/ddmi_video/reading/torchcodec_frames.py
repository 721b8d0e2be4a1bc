"""Frames by torchcodec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from ddmi_core.errors import DataError
from ddmi_video.reading.frames import Frames
from ddmi_video.reading.index import Source, VideoIndex, opened_as
from ddmi_video.reading.limits import size_changes
from ddmi_video.reading.posture import Pixels


class TorchcodecFrames(Frames):
    """torchcodec, by frame number, checked against the index by time stamp. It turns frames upright itself.

    Args:
        source: path, or open file.
        index: the video's index.

    Raises:
        ImportError: if it is not installed.
        DataError: if it reads the file otherwise than the index.
    """

    def __init__(self, source: Source, index: VideoIndex) -> None:
        package, self.index = import_module("torchcodec.decoders"), index
        try:
            self.decoder: Any = package.VideoDecoder(
                opened_as(source), stream_index=index.stream, dimension_order="NHWC", num_ffmpeg_threads=1
            )
        except (RuntimeError, ValueError) as error:
            raise disagreement(index, f"torchcodec cannot open it: {_first_line(error)}") from error
        if len(self.decoder) != len(index.ticks):
            raise disagreement(index, f"torchcodec finds {len(self.decoder)} frames, its packets {len(index.ticks)}")
        self.begin = float(self.decoder.metadata.begin_stream_seconds)

    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """See `Frames`."""
        for number in numbers:
            try:
                frame = self.decoder.get_frame_at(number)
            except (RuntimeError, IndexError) as error:
                raise DataError(
                    f"{self.index.name}: damaged at {self.index.times[number]:.3f} s ({_first_line(error)})"
                ) from error
            if abs(float(frame.pts_seconds) - self.begin - self.index.times[number]) > self.index.tick:
                raise disagreement(self.index, f"torchcodec shows frame {number} at another time")
            pixels: Pixels = frame.data.numpy()
            if pixels.shape[:2] != self.index.posture.size:
                raise size_changes(self.index.name, self.index.posture.size, pixels.shape[:2])
            yield pixels

    def close(self) -> None:
        """See `Frames`."""
        self.decoder = None


def disagreement(index: VideoIndex, what: str) -> DataError:
    """The error for a back end that reads a file otherwise than its packets say."""
    return DataError(f"{index.name}: {what}; read it with --set domain.reader=pyav")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
