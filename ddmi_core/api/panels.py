"""Interface between the page of `ddmi view` and a domain: requests for pictures, and panels that answer them."""

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
            raise ValueError(f"{attribute.name} {low:g} to {high:g} is out of range: need -1 <= low < high <= 1")


def _places(instance: object, attribute: Attribute[Any], value: tuple[float, ...]) -> None:
    for place in value:
        if not -1 <= place <= 1:
            raise ValueError(f"{attribute.name} {place:g} is out of range: need -1 to 1")


@frozen(kw_only=True)
class Look:
    """Request of the page to a panel. A panel uses the fields that belong to its gesture.

    Args:
        size: available rows and columns of pixels.
        bounds: visible interval of each zoomed axis, in [-1, 1], in the order of `Panel.axes`; empty for all of it.
        at: position of each slider, in [-1, 1], in the order of `Panel.sliders`; empty for the centre.
        azimuth, elevation: of the camera around the centre, in radians.
        distance: of the camera from the centre; at 1 the whole object is visible.
        view: resolution, one of the domain's views; `None` for the native view.
        rest: whether the view is at rest; during a movement, speed matters more than quality.

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
    """A file in memory that browsers can display.

    Args:
        kind: media type, such as `image/png`; `model/gltf-binary` for a mesh.
        data: contents of the file.
    """

    kind: str
    data: bytes


class Panel(ABC):
    """Shows fields of one domain on the page of `ddmi view`.

    `Domain.panel` refers to the function that builds it; the default suits most domains.

    Attributes:
        gesture: interaction with the picture: `none`; `zoom`, the page requests the visible part of `axes`; `turn`, the
            page requests a mesh once and rotates it itself; `orbit`, the page requests the view of a camera.
        axes: names of the zoomed axes, slowest first, one or two; the slower of two is vertical.
        sliders: names of axes that are shown at one position, slowest first, with one slider each.
        aspect: width over height of the picture.

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
        """The picture or mesh of a field that the page requested.

        Args:
            field: a batch of one.
            look: the request.

        Raises:
            RequestError: if the request cannot be met; the page shows the message.
        """

    def thumbnail(self, field: Field) -> Shown:
        """A small picture for the gallery; by default `show` at rest, in 256 pixels."""
        return self.show(field, Look())
