"""Views of a clip: frame size, frame rate, duration and part, and their parsing from text."""

from __future__ import annotations

import re

from attrs import frozen

from ddmi_core.errors import RequestError, counted
from ddmi_video.settings import VideoSettings

LARGEST = 16384  # rows and columns of a frame
MOST = 65536  # frames
SLOWEST, FASTEST = 0.01, 1000.0  # frames per second
WHOLE = 1e-6  # fraction of the last frame that may be missing
ROUNDING = 1e-6  # seconds beyond the end that count as the end

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_FORM = re.compile(
    r"(?P<size>\d{1,9}(?:x\d{1,9}){0,2})?"
    rf"(?:@(?P<rate>{_NUMBER}))?"
    rf"(?:,(?P<start>{_NUMBER})s?-(?P<end>{_NUMBER})s)?"
    rf"(?:,(?P<length>{_NUMBER})s)?",
    re.ASCII,
)
_HELP = (
    "give ROWSxCOLUMNS or FRAMESxROWSxCOLUMNS, @RATE in frames a second, ,FROM-TOs for a part, and ,SECONDSs for the "
    "duration, each of them optional and in this order: 1080x1920@30,10s or 96x96@24,0.5-1.5s"
)


@frozen
class ClipView:
    """A clip of a field: frames at regular times over the whole time axis or a part of it.

    Args:
        frames: number of frames.
        rows, columns: size of a frame.
        seconds: duration of playback.
        start, end: part of the time axis, in [-1, 1].

    Raises:
        RequestError: if a number is out of range.
    """

    frames: int
    rows: int
    columns: int
    seconds: float
    start: float = -1.0
    end: float = 1.0

    def __attrs_post_init__(self) -> None:
        """Check the ranges."""
        for name, value, most in (
            ("frames", self.frames, MOST),
            ("rows", self.rows, LARGEST),
            ("columns", self.columns, LARGEST),
        ):
            if not 1 <= value <= most:
                raise RequestError(f"a clip of {value} {name} is out of range: 1 to {most}")
        if not -1 <= self.start < self.end <= 1:
            raise RequestError(
                f"invalid part of the time axis ({self.start:g}, {self.end:g}): need -1 <= start < end <= 1"
            )
        if not self.seconds > 0:
            raise RequestError(f"invalid duration {self.seconds:g} s; give a number above 0")
        if not SLOWEST <= round(self.rate, 6) <= FASTEST:
            frames = counted(self.frames, "frame")
            raise RequestError(
                f"{frames} in {self.seconds:g} s, {self.rate:.4g} a second, is out of range: {SLOWEST:g} to {FASTEST:g}"
            )

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds


def parse_view(text: str, settings: VideoSettings) -> ClipView:
    """Parse a view such as `1080x1920@30`, `96x96@24,0.5-1.5s` or `16x48x48`.

    Defaults are native: frame size, frame rate, and the whole clip at its original speed. A given number of frames is
    spread over the part, which determines the rate. Otherwise the clip has as many whole frames as fit, at least one,
    at exactly the given rate and speed: 0.25 s at 10 frames per second give 2 frames.

    Raises:
        RequestError: if the text is malformed, or a number is out of range.
    """
    match = _FORM.fullmatch("".join(text.lower().split()))
    if match is None or not text.strip():
        raise RequestError(f"{text!r} is not a view of a clip; {_HELP}")
    whole = settings.frames / settings.rate
    start, end = (float(match[name]) if match[name] else default for name, default in (("start", 0.0), ("end", whole)))
    if not 0 <= start < end <= whole + ROUNDING:
        raise RequestError(f"{text!r}: the part from {start:g} to {end:g} s is outside the clip of {whole:g} s")
    seconds = float(match["length"]) if match["length"] else end - start
    sides = [int(side) for side in match["size"].split("x")] if match["size"] else []
    frames = sides.pop(0) if len(sides) == 3 else None
    if frames is not None and match["rate"]:
        raise RequestError(f"{text!r} has both a number of frames and a rate; leave one of them out")
    if frames is None:
        rate = float(match["rate"]) if match["rate"] else settings.rate
        if not SLOWEST <= rate <= FASTEST:
            raise RequestError(f"{text!r}: {rate:g} frames a second is out of range: {SLOWEST:g} to {FASTEST:g}")
        frames = max(1, int(rate * seconds + WHOLE))
        end = min(end, start + (end - start) * frames / (rate * seconds)) if seconds else end
        seconds = frames / rate if seconds else 0.0
    rows, columns = (sides * 2)[:2] if sides else (settings.size, settings.size)
    return ClipView(frames, rows, columns, seconds, 2 * start / whole - 1, min(1.0, 2 * end / whole - 1))
