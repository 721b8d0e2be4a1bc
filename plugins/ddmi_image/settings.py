"""Settings of the image domain: sizes, data, and the held-out share."""

from __future__ import annotations

from attrs import Attribute, field, frozen, validators

from ddmi_core.errors import ConfigError, unknown_name
from ddmi_image.openmoji_groups import DEFAULT_GROUPS, GROUPS

DETAILS = (1, 2, 4, 8)


def _known_groups(instance: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    known = [group.name for group in GROUPS]
    for name in value:
        if name not in known:
            raise ConfigError(f"groups: {unknown_name('OpenMoji group', name, known)}")
    if not value:
        raise ConfigError(f"groups is empty; name at least one of {', '.join(known)}")


@frozen
class ImageSettings:
    """Settings of the image domain.

    Args:
        size: width and height of the pictures in pixels, the native size.
        detail: largest multiple of the native size at which pictures supervise the field: 1, 2, 4 or 8. With 4, the
            levels are 1, 2 and 4 times the native size.
        groups: OpenMoji groups; each is a class.
        held_out: share of the drawings or files that is kept out of training.
        augment: mirror pictures at random in training, if a mirror image is a valid picture.
        limit: maximum number of pictures, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of pictures as classes.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
    """

    size: int = field(default=48, validator=[validators.ge(8), validators.le(4096)])
    detail: int = field(default=4, validator=validators.in_(DETAILS))
    groups: tuple[str, ...] = field(default=DEFAULT_GROUPS, validator=_known_groups)
    held_out: float = field(default=0.1, validator=[validators.gt(0), validators.lt(1)])
    augment: bool = True
    limit: int = field(default=0, validator=validators.ge(0))
    classes: bool = True
    strict: bool = True

    @property
    def native(self) -> tuple[int, int]:
        """Rows and columns of the native size."""
        return (self.size, self.size)
