"""Settings of the image domain: sizes, data, and the held-out share."""

from __future__ import annotations

from typing import Literal

from attrs import Attribute, field, frozen, validators
from PIL import ImageColor

from ddmi_core.errors import ConfigError, unknown_name
from ddmi_core.parts import check_shares, level_sizes, valid_multiples
from ddmi_image.openmoji_groups import DEFAULT_GROUPS, GROUPS
from ddmi_image.reading import Fit


def _known_groups(instance: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    known = [group.name for group in GROUPS]
    for name in value:
        if name not in known:
            raise ConfigError(f"groups: {unknown_name('OpenMoji group', name, known)}")
    if not value:
        raise ConfigError(f"groups is empty; name at least one of {', '.join(known)}")


def _known_colour(instance: object, attribute: Attribute[str], value: str) -> None:
    try:
        opaque = len(ImageColor.getrgb(value)) == 3
    except ValueError:
        opaque = False
    if not opaque:
        raise ConfigError(f"background: {value!r} is no opaque colour; give a name, such as white, or #rrggbb")


@frozen
class ImageSettings:
    """Settings of the image domain.

    Args:
        size: width and height of the pictures in pixels, the native size.
        multiples: sizes at which pictures supervise the field, in multiples of the native size: 1, then increasing, at
            most 8. A source leaves out those that its smallest picture does not reach.
        shares: how often training draws each multiple, relative to each other; if empty, all equally often.
        groups: OpenMoji groups; each is a class.
        held_out: share of the drawings or files that is kept out of training.
        augment: mirror pictures at random in training, if a mirror image is a valid picture.
        limit: maximum number of pictures, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of pictures as classes.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
        fit: how pictures that are not square become so: cut to their centre, padded with the background, or stretched.
        background: colour under transparent parts and around padded pictures: a name, or `#rrggbb`.
        white: value of white in greys of more than 8 bits: 4095 for 12 bits, 1 for many floating-point TIFF files. By
            default (0) it is what the file declares (SMaxSampleValue or bits per sample of a TIFF, sBIT of a PNG), or
            else 65535 for 16 bits; 255 or 65535 for 32 bits and 1, 255 or 65535 for floating-point values, by the
            largest value of a picture, with a warning.
    """

    size: int = field(default=48, validator=[validators.ge(8), validators.le(4096)])
    multiples: tuple[float, ...] = field(default=(1.0, 2.0, 4.0), validator=valid_multiples)
    shares: tuple[float, ...] = ()
    groups: tuple[str, ...] = field(default=DEFAULT_GROUPS, validator=_known_groups)
    held_out: float = field(default=0.1, validator=[validators.gt(0), validators.lt(1)])
    augment: bool = True
    limit: int = field(default=0, validator=validators.ge(0))
    classes: bool = True
    strict: bool = True
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: str = field(default="white", validator=_known_colour)
    white: float = field(default=0.0, validator=validators.ge(0))

    def __attrs_post_init__(self) -> None:
        """Check that the levels are all different, and that each has a share."""
        check_shares(self.shares, self.multiples)
        level_sizes("size", self.size, self.multiples)

    @property
    def reading(self) -> Fit:
        """How files become pictures."""
        return Fit(self.fit, self.background, self.white)

    @property
    def native(self) -> tuple[int, int]:
        """Rows and columns of the native size."""
        return (self.size, self.size)

    @property
    def sides(self) -> tuple[int, ...]:
        """Width of each level in pixels, native first."""
        return level_sizes("size", self.size, self.multiples)
