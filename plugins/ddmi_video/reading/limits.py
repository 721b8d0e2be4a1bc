"""Limits of videos, checked from the container's data before a frame is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddmi_core.errors import DataError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

SMALLEST_SIDE = 8
LARGEST_SIDE = 16_384
MOST_PIXELS = 40_000_000  # an 8K frame has 33 million


class TooShortError(DataError):
    """A video has too few frames."""


def check_size(width: int, height: int, name: str) -> None:
    """Reject frames that are too small or too large.

    Raises:
        DataError: if they are; it names the limit.
    """
    if min(width, height) < SMALLEST_SIDE:
        raise DataError(f"{name}: frames of {width} x {height} are too small; each side needs {SMALLEST_SIDE} or more")
    if max(width, height) > LARGEST_SIDE or width * height > MOST_PIXELS:
        raise DataError(
            f"{name}: frames of {width} x {height} are too large; the limit is {MOST_PIXELS:,} pixels and "
            f"{LARGEST_SIDE:,} a side. Make a smaller copy: ffmpeg -i IN -vf scale=1280:-2 OUT.mp4"
        )


def check_stream(stream: VideoStream, name: str) -> None:
    """Reject streams without a decoder, or beyond the limits.

    Raises:
        DataError: if it is one; it says how to convert the file.
    """
    context = stream.codec_context
    if context is None:
        raise DataError(
            f"{name}: the FFmpeg in PyAV has no decoder for this codec. Convert the video with a program that can play "
            "it, for example to H.264: ffmpeg -i IN -c:v libx264 OUT.mp4"
        )
    if context.width and context.height:
        check_size(context.width, context.height, name)


def size_changes(
    name: str,
    first: tuple[int, int],
    other: tuple[int, int],
    fix: str = "re-encode it at one size: ffmpeg -i IN -vf scale=640:360 OUT.mp4",
) -> DataError:
    """The error for frames that differ in size, each `(height, width)`."""
    return DataError(
        f"{name}: the size of frames changes from {first[1]} x {first[0]} to {other[1]} x {other[0]}. Fix: {fix}"
    )
