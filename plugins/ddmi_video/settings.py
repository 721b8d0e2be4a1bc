"""Settings of the video domain: size and rate of clips, data, and the held-out share."""

from __future__ import annotations

from attrs import Attribute, field, frozen, validators
from PIL import ImageColor

from ddmi_core.api import above, acts_on, inside, within
from ddmi_core.errors import ConfigError
from ddmi_video.reading.frame_colours import REFERENCE_WHITE, Look


def _known_colour(instance: object, attribute: Attribute[str], value: str) -> None:
    try:
        opaque = len(ImageColor.getrgb(value)) == 3
    except ValueError:
        opaque = False
    if not opaque:
        raise ConfigError(f"background: {value!r} is no opaque colour; give a name, such as white, or #rrggbb")


@frozen
class VideoSettings:
    """Settings of the video domain.

    Args:
        frames: frames of a native clip.
        size: rows and columns of a native frame.
        rate: native frames per second; a clip lasts `frames / rate` seconds.
        between: training frames per native frame of the default source; from 2, training includes times between those
            that the encoder sees.
        count: number of clips of the default source.
        held_out: share of the clips that is kept out of training.
        augment: mirror clips horizontally at random in training, if a mirror image is a valid clip.
        limit: maximum number of clips, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of videos as classes.
        reader: decoder of video files: `pyav`, or `torchcodec` or `decord` if installed.
        background: colour under transparent parts: a name, or `#rrggbb`.
        white: light in cd/m2 that becomes white, in clips of high dynamic range (PQ and HLG). By default it is the
            reference white of Report ITU-R BT.2408; clips made by FFmpeg's zscale from others often have 100.
        workers: number of processes that decode files; 0 decodes in the main process.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
    """

    frames: int = field(default=16, validator=within(2, 512))
    size: int = field(default=48, validator=within(8, 1024))
    rate: float = field(default=8.0, validator=above(0, 1000))
    between: int = field(default=2, validator=within(1, 8))
    count: int = field(default=1500, validator=within(8, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))
    augment: bool = True
    limit: int = field(default=0, validator=within(0, 10**9))
    classes: bool = True
    reader: str = field(default="pyav", validator=validators.in_(("pyav", "torchcodec", "decord")))
    background: str = field(default="white", validator=_known_colour)
    white: float = field(default=REFERENCE_WHITE, validator=within(1, 10_000))
    workers: int = field(default=0, validator=within(0, 64), metadata=acts_on())
    strict: bool = True

    @property
    def look(self) -> Look:
        """How frames become sRGB."""
        return Look(self.background, self.white)

    @property
    def native(self) -> tuple[int, int, int]:
        """Frames, rows and columns of a native clip."""
        return (self.frames, self.size, self.size)

    @property
    def extent(self) -> tuple[float, float, float]:
        """Length of a clip in seconds, and 2 along y and x."""
        return (self.frames / self.rate, 2.0, 2.0)
