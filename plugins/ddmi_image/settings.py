"""Settings of the image domain: sizes, data, and the held-out share."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen
from PIL import ImageColor

from ddmi_core.api import inside, within
from ddmi_core.errors import ConfigError, unknown_name
from ddmi_core.parts import check_shares, level_sizes, valid_multiples
from ddmi_image.openmoji_groups import DEFAULT_GROUPS, GROUPS
from ddmi_image.reading import ALPHA, Fit


def _known_groups(instance: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    known = [group.name for group in GROUPS]
    for name in value:
        if name not in known:
            raise ConfigError(f"groups: {unknown_name('OpenMoji group', name, known)}")
    if not value:
        raise ConfigError(f"groups is empty; name at least one of {', '.join(known)}")


def _known_colour(instance: object, attribute: Attribute[str], value: str) -> None:
    try:
        opaque = value == ALPHA or len(ImageColor.getrgb(value)) == 3
    except ValueError:
        opaque = False
    if not opaque:
        raise ConfigError(
            f"background: {value!r} is no opaque colour; give a name, such as white, or #rrggbb, or alpha"
        )


def _valid_size(instance: object, attribute: Attribute[Any], value: Any) -> None:
    for length in (value,) if isinstance(value, int) else value:
        if not 8 <= length <= 4096:
            raise ConfigError(f"size: {length} is not from 8 to 4096")


@frozen
class ImageSettings:
    """Settings of the image domain.

    Args:
        size: native size of the pictures in pixels: one number for squares, or rows and columns, `[96, 128]`.
        multiples: sizes at which pictures supervise the field, in multiples of the native size: 1, then increasing, at
            most 8. A source leaves out those that its smallest picture does not reach.
        shares: how often training draws each multiple, relative to each other; if empty, all equally often.
        groups: OpenMoji groups; each is a class.
        held_out: share of the drawings or files that is kept out of training.
        augment: mirror pictures at random in training, if a mirror image is a valid picture.
        limit: maximum number of pictures, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of pictures as classes.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
        fit: how pictures of other proportions get those of `size`: cut to their centre, padded with the background, or
            stretched.
        background: colour under transparent parts and around padded pictures: a name, or `#rrggbb`; or `alpha` to
            learn the transparency as a fourth channel, with colours that are multiplied by it.
        white: value of white in greys of more than 8 bits: 4095 for 12 bits, 1 for many floating-point TIFF files. By
            default (0) it is what the file declares (SMaxSampleValue or bits per sample of a TIFF, sBIT of a PNG), or
            else 65535 for 16 bits; 255 or 65535 for 32 bits and 1, 255 or 65535 for floating-point values, by the
            largest value of a picture, with a warning.
    """

    size: int | tuple[int, int] = field(default=48, validator=_valid_size)
    multiples: tuple[float, ...] = field(default=(1.0, 2.0, 4.0), validator=valid_multiples)
    shares: tuple[float, ...] = ()
    groups: tuple[str, ...] = field(default=DEFAULT_GROUPS, validator=_known_groups)
    held_out: float = field(default=0.1, validator=inside(0, 1))
    augment: bool = True
    limit: int = field(default=0, validator=within(0, 10**9))
    classes: bool = True
    strict: bool = True
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: str = field(default="white", validator=_known_colour)
    white: float = field(default=0.0, validator=within(0, 1e9))

    def __attrs_post_init__(self) -> None:
        """Check that the levels are all different, and that each has a share."""
        check_shares(self.shares, self.multiples)
        _ = self.sizes

    @property
    def reading(self) -> Fit:
        """How files become pictures."""
        return Fit(self.fit, self.background, self.white)

    @property
    def channels(self) -> int:
        """Values of each pixel."""
        return 4 if self.background == ALPHA else 3

    @property
    def native(self) -> tuple[int, int]:
        """Rows and columns of the native size."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each level in pixels, native first."""
        rows, columns = (level_sizes("size", length, self.multiples) for length in self.native)
        return tuple(zip(rows, columns, strict=True))
