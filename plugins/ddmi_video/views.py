"""What of a clip is drawn: the size of its frames, how many a second, how long it plays, and which part of it."""

from __future__ import annotations

import re

from attrs import frozen

from ddmi_core.errors import RequestError, counted
from ddmi_video.settings import VideoSettings

LARGEST = 16384  # rows and columns of a frame
MOST = 65536  # frames
SLOWEST, FASTEST = 0.01, 1000.0  # frames a second
WHOLE = 1e-6  # of a frame: what may be missing of the last one
ROUNDING = 1e-6  # seconds beyond the end that stand for the end

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_FORM = re.compile(
    r"(?P<size>\d{1,9}(?:x\d{1,9}){0,2})?"
    rf"(?:@(?P<rate>{_NUMBER}))?"
    rf"(?:,(?P<start>{_NUMBER})s?-(?P<end>{_NUMBER})s)?"
    rf"(?:,(?P<length>{_NUMBER})s)?",
    re.ASCII,
)
_HELP = (
    "it takes rows x columns or frames x rows x columns, then @frames a second, then ,FROM-TOs for a part, then "
    ",SECONDSs for how long it plays, each of which can be left out: 1080x1920@30,10s or 96x96@24,0.5-1.5s"
)


@frozen
class ClipView:
    """A clip of a field: frames at regular times over all or a part of its time axis.

    Args:
        frames: how many.
        rows, columns: size of a frame.
        seconds: how long it plays.
        start, end: the part of the time axis that is shown, in [-1, 1].

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
                f"the part from {self.start:g} to {self.end:g} is no interval in [-1, 1] of the time axis"
            )
        if not self.seconds > 0:
            raise RequestError(f"a clip cannot play for {self.seconds:g} s; give a number above 0")
        if not SLOWEST <= round(self.rate, 6) <= FASTEST:
            frames = counted(self.frames, "frame")
            raise RequestError(
                f"{frames} in {self.seconds:g} s, {self.rate:.4g} a second, is out of range: {SLOWEST:g} to {FASTEST:g}"
            )

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def parse(text: str, settings: VideoSettings) -> ClipView:
    """The view that a text asks for, such as `1080x1920@30`, `96x96@24,0.5-1.5s` or `16x48x48`.

    What is left out is native: the size of frames, the frames a second, the whole clip at its own speed. Where a
    number of frames is given, they are spread over the part, and their rate follows. Otherwise the clip has as many
    whole frames as fit, at least one, at just the rate and the speed: 0.25 s at 10 frames a second are 2 frames.

    Raises:
        RequestError: if the text has another form, or numbers are out of range.
    """
    match = _FORM.fullmatch("".join(text.lower().split()))
    if match is None or not text.strip():
        raise RequestError(f"{text!r} is no view of a clip; {_HELP}")
    whole = settings.frames / settings.rate
    start, end = (float(match[name]) if match[name] else default for name, default in (("start", 0.0), ("end", whole)))
    if not 0 <= start < end <= whole + ROUNDING:
        raise RequestError(f"{text!r}: the part from {start:g} to {end:g} s is not in the clip, which has {whole:g} s")
    seconds = float(match["length"]) if match["length"] else end - start
    sides = [int(side) for side in match["size"].split("x")] if match["size"] else []
    frames = sides.pop(0) if len(sides) == 3 else None
    if frames is not None and match["rate"]:
        raise RequestError(f"{text!r} gives both a number of frames and a rate; leave one of them out")
    if frames is None:
        rate = float(match["rate"]) if match["rate"] else settings.rate
        if not SLOWEST <= rate <= FASTEST:
            raise RequestError(f"{text!r}: {rate:g} frames a second is out of range: {SLOWEST:g} to {FASTEST:g}")
        frames = max(1, int(rate * seconds + WHOLE))
        end = min(end, start + (end - start) * frames / (rate * seconds)) if seconds else end
        seconds = frames / rate if seconds else 0.0
    rows, columns = (sides * 2)[:2] if sides else (settings.size, settings.size)
    return ClipView(frames, rows, columns, seconds, 2 * start / whole - 1, min(1.0, 2 * end / whole - 1))
