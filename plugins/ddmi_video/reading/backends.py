"""Choice of the decoder of a video file (PyAV, torchcodec or decord), and the two optional ones."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO, ClassVar

import numpy as np

from ddmi_core.errors import DataError, PluginError, unknown_name
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.frame_colours import Look
from ddmi_video.reading.frames import Frames, PyavFrames
from ddmi_video.reading.index import Source, VideoIndex, opened_as
from ddmi_video.reading.limits import size_changes

log = logging.getLogger(__name__)


class NumberedFrames(Frames):
    """A decoder that finds frames by number and turns them upright itself; its time stamps are checked with the index.

    Args:
        source: path, or open file.
        index: the video's index.

    Raises:
        ImportError: if the package is not installed.
        DataError: if it reads the file differently from the index.
    """

    package: ClassVar[str]
    name: ClassVar[str]

    def __init__(self, source: Source, index: VideoIndex) -> None:
        module: Any = import_module(self.package)
        self.index, self.errors = index, self.errors_of(module)
        try:
            self.decoder = self.open(module, opened_as(source))
        except self.errors as error:
            raise self.disagreement(f"{self.name} cannot open it: {_first_line(error)}") from error

    @abstractmethod
    def errors_of(self, module: Any) -> tuple[type[Exception], ...]:
        """What the package raises for files and frames that it cannot read."""

    @abstractmethod
    def open(self, module: Any, file: str | BinaryIO) -> Any:
        """The decoder of a file, after a comparison with the index."""

    @abstractmethod
    def decode(self, number: int) -> Pixels:
        """One upright frame `(H, W, 3)`."""

    def get(self, numbers: Sequence[int]) -> Iterator[Pixels]:
        """See `Frames`."""
        for number in numbers:
            try:
                frame = self.decode(number)
            except self.errors as error:
                raise DataError(
                    f"{self.index.name}: damaged at {self.index.times[number]:.3f} s ({_first_line(error)})"
                ) from error
            yield frame

    def close(self) -> None:
        """See `Frames`."""
        self.decoder = None

    def disagreement(self, what: str) -> DataError:
        """The error for a file that the decoder reads differently from its packets."""
        return DataError(f"{self.index.name}: {what}; read it with --set domain.reader=pyav")


class TorchcodecFrames(NumberedFrames):
    """torchcodec."""

    package = "torchcodec.decoders"
    name = "torchcodec"

    def errors_of(self, module: Any) -> tuple[type[Exception], ...]:
        """See `NumberedFrames`."""
        return (RuntimeError, ValueError, IndexError)

    def open(self, module: Any, file: str | BinaryIO) -> Any:
        """See `NumberedFrames`."""
        stream = self.index.stream
        decoder = module.VideoDecoder(file, stream_index=stream, dimension_order="NHWC", num_ffmpeg_threads=1)
        if len(decoder) != len(self.index.ticks):
            raise self.disagreement(f"torchcodec finds {len(decoder)} frames, its packets {len(self.index.ticks)}")
        self.begin = float(decoder.metadata.begin_stream_seconds)
        return decoder

    def decode(self, number: int) -> Pixels:
        """See `NumberedFrames`."""
        frame = self.decoder.get_frame_at(number)
        if abs(float(frame.pts_seconds) - self.begin - self.index.times[number]) > self.index.tick:
            raise self.disagreement(f"torchcodec shows frame {number} at another time")
        pixels: Pixels = frame.data.numpy()
        if pixels.shape[:2] != self.index.orientation.size:
            raise size_changes(self.index.name, self.index.orientation.size, pixels.shape[:2])
        return pixels


class DecordFrames(NumberedFrames):
    """decord; it scales frames of other sizes silently, so its index has to be made with `whole=True`."""

    package = "decord"
    name = "decord"

    def errors_of(self, module: Any) -> tuple[type[Exception], ...]:
        """See `NumberedFrames`."""
        return (module.DECORDError, RuntimeError, StopIteration)

    def open(self, module: Any, file: str | BinaryIO) -> Any:
        """See `NumberedFrames`."""
        module.logging.set_level(module.logging.QUIET)
        decoder = module.VideoReader(file, num_threads=1)
        times = np.asarray(decoder.get_frame_timestamp(range(len(decoder))))[:, 0]
        expected = self.index.times
        # decord keeps seconds in single precision
        if len(times) != len(expected) or not np.allclose(times - times[0], expected, rtol=1e-6, atol=1e-3):
            raise self.disagreement("decord finds other time stamps than its packets have")
        return decoder

    def decode(self, number: int) -> Pixels:
        """See `NumberedFrames`."""
        frame: Pixels = self.decoder[number].asnumpy()
        height, width, values = frame.shape
        if values == 3:
            return frame
        # decord takes the padding of narrow rows for a fourth value of each pixel
        return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


OPTIONAL: dict[str, type[NumberedFrames]] = {"torchcodec": TorchcodecFrames, "decord": DecordFrames}


def open_frames(backend: str, source: Source, index: VideoIndex, look: Look) -> Frames:
    """Open a video with a back end; PyAV reads it if the other one would not give the same frames.

    Args:
        backend: `pyav`, `torchcodec` or `decord`.
        source: path, or open file.
        index: the video's index.
        look: what the settings say about colours.

    Raises:
        PluginError: if the back end is unknown, not installed, or cannot be loaded.
        DataError: if it cannot read the file.
    """
    if backend == "pyav":
        return PyavFrames(source, index, look)
    if backend not in OPTIONAL:
        raise PluginError(unknown_name("reader of videos", backend, ("pyav", *OPTIONAL)))
    chosen = OPTIONAL[backend]
    try:
        if not index.special:
            return chosen(source, index)
        import_module(chosen.package)
    except ImportError as error:
        raise _missing(backend) from error
    except (OSError, RuntimeError) as error:
        raise _unloadable(backend, error) from error
    log.info("%s: read by PyAV, not %s, because %s", index.name, backend, index.special)
    return PyavFrames(source, index, look)


def _missing(backend: str) -> PluginError:
    return PluginError(
        f'the reader {backend!r} is not installed: pip install "ddmi[{backend}]", or use --set domain.reader=pyav'
    )


def _unloadable(backend: str, error: Exception) -> PluginError:
    hint = (
        "torchcodec needs FFmpeg's shared libraries (apt-get install ffmpeg) and a build for this torch; builds from "
        "0.14 on the package index need CUDA, so without CUDA: pip install torchcodec==0.13.0"
        if backend == "torchcodec"
        else f"reinstall it: pip install --force-reinstall {backend}"
    )
    reason = _first_line(error)
    return PluginError(f"the reader {backend!r} cannot be loaded: {reason}. {hint}; or use --set domain.reader=pyav")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
