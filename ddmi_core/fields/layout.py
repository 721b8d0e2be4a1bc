"""The layout of a domain: its axes, and the axes that each plane spans."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from attrs import field, frozen, validators

from ddmi_core.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def as_names(names: Iterable[str]) -> tuple[str, ...]:
    """Any iterable of names as a tuple."""
    return tuple(names)


def _planes(planes: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(plane) for plane in planes)


@frozen
class Embedding:
    """A map from the coordinates of a domain to those of its planes.

    With it, the planes can lie in a space without the seams or poles of the domain's own coordinates, such as
    longitude and latitude, while renders, regions and files keep the domain's axes.

    Args:
        axes: names of the mapped coordinates, each normalised to [-1, 1].
        function: `"package.module:function"`, differentiable: `(..., D) -> (..., len(axes))`, both in [-1, 1].
        weights: `"package.module:function"`, differentiable: `(..., D) -> (..., P)`, the weight of each plane of the
            layout at a point, at least 0, with a sum of 1; 1 for all planes if empty. With weights, each plane can be
            the map of a part of the space, such as a hemisphere: beyond its part it has the weight 0.

    Example:
        >>> import torch
        >>> on_sphere = Embedding(axes=("x", "y", "z"), function="ddmi_core.fields.embeddings:sphere")
        >>> on_sphere(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    axes: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    function: str = field(validator=validators.matches_re(REFERENCE))
    weights: str = field(default="", validator=validators.or_(validators.in_([""]), validators.matches_re(REFERENCE)))

    def __call__(self, coords: Tensor) -> Tensor:
        """Coordinates of the planes, `(..., D) -> (..., len(axes))`.

        Raises:
            PluginError: if the function cannot be imported, or returns another number of columns.
        """
        return _columns("embedding", self.function, coords, self.axes)


def _columns(what: str, reference: str, coords: Tensor, names: tuple[str, ...]) -> Tensor:
    """The result of a referenced function of coordinates, which has one column per name."""
    try:
        function = resolve_name(reference)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"the layout's {what} {reference!r} cannot be imported: {error}") from error
    mapped: Tensor = function(coords)
    if mapped.shape != (*coords.shape[:-1], len(names)):
        raise PluginError(
            f"the layout's {what} {reference!r} maps coordinates {tuple(coords.shape)} to {tuple(mapped.shape)}; it "
            f"must return {len(names)} columns: {', '.join(names)}"
        )
    return mapped


@frozen
class Layout:
    """Named axes, and the planes of the basis fields.

    Grids have the slowest axis first, like images: a plane `("x", "y")` is a grid
    `(rows along y, columns along x)`, and a signal on `("x", "y", "t")` is a grid `(t, y, x)`.
    Coordinates have the order of `axes`: column 0 is `x`.

    Args:
        axes: names of the coordinates, each normalised to [-1, 1].
        planes: one tuple of one or two names of `plane_axes` per plane; any number of planes.
        extra: names of readout inputs that no plane spans (for example a view direction or the
            footprint of a sample). Their neutral value is zero. Evaluation limits them to their range in training.
        periodic: names of axes on which -1 and 1 are the same place, such as a longitude or an angle.
        embedding: map from the coordinates to the axes that the planes span, if these are not `axes`.

    Example:
        >>> Layout(axes=("x", "y"), planes=(("x", "y"),)).columns
        ((0, 1),)
        >>> Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"))).columns
        ((0, 1), (1, 2), (0, 2))
    """

    axes: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    planes: tuple[tuple[str, ...], ...] = field(converter=_planes)
    extra: tuple[str, ...] = field(default=(), converter=as_names)
    periodic: tuple[str, ...] = field(default=(), converter=as_names)
    embedding: Embedding | None = field(default=None, validator=validators.optional(validators.instance_of(Embedding)))

    def __attrs_post_init__(self) -> None:
        """Check that names are unique, and that every plane spans one or two known axes."""
        names = self.axes + self.extra
        if len(set(names)) != len(names):
            raise ValueError(
                f"duplicate layout names: {', '.join(names)}. Fix: use a unique name for each axis and extra column"
            )
        everywhere = tuple(dict.fromkeys(self.axes + self.plane_axes))
        if unknown := set(self.periodic) - set(everywhere):
            raise ValueError(f"periodic has unknown axes: {', '.join(sorted(unknown))}. Valid: {', '.join(everywhere)}")
        if not self.planes:
            raise ValueError("a layout needs at least one plane")
        for plane in self.planes:
            if not 1 <= len(plane) <= 2 or len(set(plane)) != len(plane):
                raise ValueError(f"plane {plane} is invalid: a plane spans one or two different axes")
            if unknown := set(plane) - set(self.plane_axes):
                valid = ", ".join(self.plane_axes)
                raise ValueError(f"plane {plane} has unknown axes: {', '.join(sorted(unknown))}. Valid: {valid}")

    @property
    def plane_axes(self) -> tuple[str, ...]:
        """Axes of the space that the planes span: `axes`, or those of the embedding."""
        return self.axes if self.embedding is None else self.embedding.axes

    @property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """Columns of each plane, in coordinates of the planes' space."""
        return tuple(tuple(self.plane_axes.index(axis) for axis in plane) for plane in self.planes)

    @property
    def wraps(self) -> tuple[bool, ...]:
        """Whether each of `axes` is periodic."""
        return tuple(axis in self.periodic for axis in self.axes)

    @property
    def plane_wraps(self) -> tuple[tuple[bool, ...], ...]:
        """Whether the axes of each plane are periodic, in the plane's own order."""
        return tuple(tuple(axis in self.periodic for axis in plane) for plane in self.planes)

    def in_planes(self, coords: Tensor) -> Tensor:
        """Coordinates `(..., D)` in the space of the planes; unchanged without an embedding."""
        return coords if self.embedding is None else self.embedding(coords)

    def plane_weights(self, coords: Tensor) -> Tensor | None:
        """Weight of each plane at coordinates `(..., D)`, `(..., P)`; None if the embedding has none.

        Raises:
            PluginError: if the function of the weights cannot be imported, or returns another number of columns.
        """
        if self.embedding is None or not self.embedding.weights:
            return None
        names = tuple(" ".join(plane) for plane in self.planes)
        return _columns("weights", self.embedding.weights, coords, names)
