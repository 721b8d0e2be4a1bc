"""What of a clip is drawn: the size of its frames, how many a second, how long it plays, and which part of it."""

from __future__ import annotations

import re

from attrs import frozen

from ddmi_core.errors import RequestError
from ddmi_video.settings import VideoSettings

LARGEST = 16384  # rows and columns of a frame
MOST = 65536  # frames
FASTEST = 1000.0  # frames a second

_FORM = re.compile(
    r"(?P<size>\d+|\d+x\d+|\d+x\d+x\d+)?"
    r"(?:@(?P<rate>\d+(?:\.\d+)?))?"
    r"(?:,(?P<start>\d+(?:\.\d+)?)s?-(?P<end>\d+(?:\.\d+)?)s)?"
    r"(?:,(?P<length>\d+(?:\.\d+)?)s)?"
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
        if not self.seconds > 0 or self.rate > FASTEST:
            raise RequestError(
                f"{self.frames} frames in {self.seconds:g} s are {self.rate:g} a second; files hold up to {FASTEST:g}"
            )

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds > 0 else float("inf")


def parse(text: str, settings: VideoSettings) -> ClipView:
    """The view that a text asks for, such as `1080x1920@30`, `96x96@24,0.5-1.5s` or `16x48x48`.

    What is left out is native: the size of frames, the frames a second, the whole clip at its own speed. Where a
    number of frames is given, they are spread over the part, and their rate follows.

    Raises:
        RequestError: if the text has another form, or numbers are out of range.
    """
    match = _FORM.fullmatch(text.replace(" ", ""))
    if match is None or not text.strip():
        raise RequestError(f"{text!r} is no view of a clip; {_HELP}")
    whole = settings.frames / settings.rate
    start, end = (float(match[name]) if match[name] else default for name, default in (("start", 0.0), ("end", whole)))
    if not 0 <= start < end <= whole + 1e-9:
        raise RequestError(f"{text!r}: the part from {start:g} to {end:g} s is not in the clip, which has {whole:g} s")
    seconds = float(match["length"]) if match["length"] else end - start
    sides = [int(side) for side in match["size"].split("x")] if match["size"] else []
    given = sides.pop(0) if len(sides) == 3 else None
    if given is not None and match["rate"]:
        raise RequestError(f"{text!r} gives both a number of frames and a rate; leave one of them out")
    rate = float(match["rate"]) if match["rate"] else settings.rate
    rows, columns = (sides * 2)[:2] if sides else (settings.size, settings.size)
    return ClipView(
        frames=max(1, round(rate * seconds)) if given is None else given,
        rows=rows,
        columns=columns,
        seconds=seconds,
        start=2 * start / whole - 1,
        end=min(1.0, 2 * end / whole - 1),
    )
