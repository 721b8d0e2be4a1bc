"""The layout of a domain: its axes, and the axes that each plane spans."""

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
    """Named axes, and the planes of the basis fields.

    Grids have the slowest axis first, like images: a plane `("x", "y")` is a grid
    `(rows along y, columns along x)`, and a signal on `("x", "y", "t")` is a grid `(t, y, x)`.
    Coordinates have the order of `axes`: column 0 is `x`.

    Args:
        axes: names of the coordinates, each normalised to [-1, 1].
        planes: one tuple of one or two axis names per plane; any number of planes.
        extra: names of readout inputs that no plane spans (for example a view direction or the
            footprint of a sample). Their neutral value is zero.

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
        """Check that names are unique, and that every plane spans one or two known axes."""
        names = self.axes + self.extra
        if len(set(names)) != len(names):
            raise ValueError(
                f"duplicate layout names: {', '.join(names)}. Fix: use a unique name for each axis and extra column"
            )
        if not self.planes:
            raise ValueError("a layout needs at least one plane")
        for plane in self.planes:
            if not 1 <= len(plane) <= 2 or len(set(plane)) != len(plane):
                raise ValueError(f"plane {plane} is invalid: a plane spans one or two different axes")
            if unknown := set(plane) - set(self.axes):
                raise ValueError(
                    f"plane {plane} has unknown axes: {', '.join(sorted(unknown))}. Valid: {', '.join(self.axes)}"
                )

    @property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """Coordinate columns of each plane."""
        return tuple(tuple(self.axes.index(axis) for axis in plane) for plane in self.planes)
