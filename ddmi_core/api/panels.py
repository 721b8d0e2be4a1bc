"""How the page of `ddmi view` shows fields: what it asks a domain's panel for, and what it gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from attrs import Attribute, field, frozen, validators

from ddmi_core.fields.field import Field

GESTURES = ("none", "zoom", "turn", "orbit")

Intervals = tuple[tuple[float, float], ...]


def _intervals(instance: object, attribute: Attribute[Any], value: Intervals) -> None:
    for low, high in value:
        if not -1 <= low < high <= 1:
            raise ValueError(f"{attribute.name} {low:g} to {high:g} is no interval in [-1, 1]")


def _places(instance: object, attribute: Attribute[Any], value: tuple[float, ...]) -> None:
    for place in value:
        if not -1 <= place <= 1:
            raise ValueError(f"{attribute.name} {place:g} is not in [-1, 1]")


@frozen(kw_only=True)
class Look:
    """What the page asks a panel for. Each panel uses what its gesture gives, and leaves the rest.

    Args:
        size: rows and columns of pixels that the page has for it.
        bounds: part of each zoomed axis, in [-1, 1], in the order of `Panel.axes`; empty for all of them.
        at: place on each axis with a slider, in [-1, 1], in the order of `Panel.sliders`; empty for the middle.
        azimuth, elevation: of the camera around the middle, in radians.
        distance: of the camera from the middle, in units of the one at which everything is in sight.
        view: how finely, one of the domain's `views`; `None` for the native view.
        rest: whether the user holds still; while one moves, speed counts more than looks.

    Raises:
        ValueError: if a number is out of range.
    """

    size: tuple[int, int] = (256, 256)
    bounds: Intervals = field(default=(), validator=_intervals)
    at: tuple[float, ...] = field(default=(), validator=_places)
    azimuth: float = 0.0
    elevation: float = 0.0
    distance: float = field(default=1.0, validator=validators.gt(0))
    view: Any = None
    rest: bool = True

    def __attrs_post_init__(self) -> None:
        """Check the size."""
        if len(self.size) != 2 or not all(1 <= side <= 4096 for side in self.size):
            raise ValueError(f"size {'x'.join(map(str, self.size))} is out of range: rows and columns from 1 to 4096")


@frozen
class Shown:
    """A file in memory, of a kind that browsers show.

    Args:
        kind: media type, such as `image/png`; a mesh to turn is `model/gltf-binary`.
        data: its bytes.
    """

    kind: str
    data: bytes


class Panel(ABC):
    """Shows fields of one domain on the page of `ddmi view`.

    A domain names the function that makes it as `Domain.panel`; most are served by the default.

    Attributes:
        gesture: what the user does with what is shown: `none`; `zoom`, where the page asks for the part of `axes`
            that is in sight; `turn`, where it asks once for a mesh and turns it itself; `orbit`, where it asks for
            the picture that a camera sees.
        axes: names of the zoomed axes, slowest first, one or two; rows run down the slower one.
        sliders: names of axes that are shown at one place, slowest first, each with a slider.
        aspect: width over height of what is shown.

    Example:
        >>> class Brightness(Panel):
        ...     gesture = "orbit"
        ...     def show(self, field, look):
        ...         level = round(255 * abs(math.cos(look.azimuth)))
        ...         return Shown("image/x-portable-graymap", b"P5 1 1 255 " + bytes([level]))
    """

    gesture: str = "none"
    axes: tuple[str, ...] = ()
    sliders: tuple[str, ...] = ()
    aspect: float = 1.0

    @abstractmethod
    def show(self, field: Field, look: Look) -> Shown:
        """A field as the page asks for it.

        Args:
            field: a batch of one.
            look: which part, from where, how finely.

        Raises:
            RequestError: if it cannot be shown so; the page shows the sentence.
        """

    def thumbnail(self, field: Field) -> Shown:
        """A field as it is shown among others; by default what `show` gives at rest in 256 pixels."""
        return self.show(field, Look())
