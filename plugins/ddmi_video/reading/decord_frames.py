"""Frames by decord."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_video.reading.frames import Frames
from ddmi_video.reading.index import Source, VideoIndex, opened_as
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.torchcodec_frames import disagreement


class DecordFrames(Frames):
    """decord, by frame number, checked against the index by time stamp. It turns frames upright itself.

    It scales frames of other sizes silently, so that its index has to be made with `whole=True`.

    Args:
        source: path, or open file.
        index: the video's index.

    Raises:
        ImportError: if it is not installed.
        DataError: if it reads the file otherwise than the index.
    """

    def __init__(self, source: Source, index: VideoIndex) -> None:
        decord = import_module("decord")
        self.index, self.errors = index, (decord.DECORDError, RuntimeError, StopIteration)
        decord.logging.set_level(decord.logging.QUIET)
        try:
            self.decoder: Any = decord.VideoReader(opened_as(source), num_threads=1)
            times = np.asarray(self.decoder.get_frame_timestamp(range(len(self.decoder))))[:, 0]
        except self.errors as error:
            raise disagreement(index, f"decord cannot open it: {str(error).splitlines()[0]}") from error
        # decord keeps seconds in single precision
        if len(times) != len(index.times) or not np.allclose(times - times[0], index.times, rtol=1e-6, atol=1e-3):
            raise disagreement(index, "decord finds other time stamps than its packets have")

    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """See `Frames`."""
        for number in numbers:
            try:
                yield _unpadded(self.decoder[number].asnumpy())
            except self.errors as error:
                raise DataError(f"{self.index.name}: damaged at {self.index.times[number]:.3f} s ({error})") from error

    def close(self) -> None:
        """See `Frames`."""
        self.decoder = None


def _unpadded(frame: Pixels) -> Pixels:
    """A frame `(H, W, 3)`; decord takes the padding of narrow rows for a fourth value of each pixel."""
    height, width, values = frame.shape
    return frame if values == 3 else frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)
