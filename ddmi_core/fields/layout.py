"""The layout of a domain: its axes, and which of them each plane spans."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen, validators


def as_names(names: Iterable[str]) -> tuple[str, ...]:
    """Any iterable of names as a tuple."""
    return tuple(names)


def _planes(planes: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(plane) for plane in planes)


@frozen
class Layout:
    """Named axes and the planes that basis fields live on.

    Grids are stored with the slowest axis first, as pictures are: a plane `("x", "y")` is a grid
    `(rows along y, columns along x)`, and a signal on `("x", "y", "t")` is a grid `(t, y, x)`.
    Coordinates keep the order of `axes`: column 0 is `x`.

    Args:
        axes: names of the coordinates, each normalised to [-1, 1].
        planes: one tuple of one or two axis names a plane; any number of planes.
        extra: names of columns that the readout is given but no plane spans (for example the
            footprint of a sample or a view direction). Their neutral value is zero.

    Example:
        >>> Layout(axes=("x", "y"), planes=(("x", "y"),)).columns
        ((0, 1),)
        >>> Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"))).columns
        ((0, 1), (1, 2), (0, 2))
    """

    axes: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    planes: tuple[tuple[str, ...], ...] = field(converter=_planes)
    extra: tuple[str, ...] = field(default=(), converter=as_names)

    def __attrs_post_init__(self) -> None:
        """Check that names are unique and that every plane spans one or two known axes."""
        names = self.axes + self.extra
        if len(set(names)) != len(names):
            raise ValueError(f"layout names repeat: {', '.join(names)}; give each axis and extra column its own name")
        if not self.planes:
            raise ValueError("a layout needs at least one plane")
        for plane in self.planes:
            if not 1 <= len(plane) <= 2 or len(set(plane)) != len(plane):
                raise ValueError(f"plane {plane} spans {len(plane)} axes; a plane spans one or two different axes")
            if unknown := set(plane) - set(self.axes):
                raise ValueError(f"plane {plane} names {', '.join(sorted(unknown))}, which is not among {self.axes}")

    @property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """Columns of the coordinates that each plane reads."""
        return tuple(tuple(self.axes.index(axis) for axis in plane) for plane in self.planes)
