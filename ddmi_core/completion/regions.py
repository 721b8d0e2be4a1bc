"""Regions as bounds on coordinates and labels of places: `x<0, -0.5<y<0.5`, `part=2`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.observations import Observations
from ddmi_core.errors import RequestError, unknown_name

_NUMBER, _NAME = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", r"[A-Za-z_]\w*"
_BOUND = re.compile(rf"(?:({_NUMBER})\s*(<=?|>=?))?\s*({_NAME})\s*(?:(<=?|>=?|=)\s*({_NUMBER}))?")
_COMPARE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@frozen
class Region:
    """Places whose coordinates and labels satisfy all of several bounds."""

    text: str
    bounds: tuple[tuple[int, str, float], ...]  # column, comparison, number

    def holds(self, places: Tensor) -> Tensor:
        """Mask `(N,)` of the places inside, from places `(N, D)`: one column per axis, then one per label."""
        inside = torch.ones(len(places), dtype=torch.bool, device=places.device)
        for column, comparison, number in self.bounds:
            inside &= _COMPARE[comparison](places[:, column], number)
        return inside


def region(text: str, axes: Sequence[str], labels: Sequence[str] = ()) -> Region:
    """Parse a region: bounds separated by commas, all of which must hold.

    Args:
        text: such as `t<-0.5` or `x<0, -0.5<y<=0.5`; labels also take `part=2`.
        axes: names of the domain's axes.
        labels: names of label columns.

    Raises:
        RequestError: if the text has another form, names an unknown column, leaves the range -1 to 1 of the axes, or
            describes an empty region.

    Example:
        >>> region("x<0, -0.5<y<0.5", ("x", "y")).bounds
        ((0, '<', 0.0), (1, '>', -0.5), (1, '<', 0.5))
    """
    names = (*axes, *labels)
    bounds: list[tuple[int, str, float]] = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None or not (match[2] or match[4]):
            also = f"; labels ({', '.join(labels)}) also take {labels[0]}=0" if labels else ""
            raise RequestError(
                f"region {text!r}: {part.strip()!r} is not a bound. Fix: write bounds such as {axes[0]}<0 or "
                f"-0.5<{axes[-1]}<0.5, separated by commas{also}"
            )
        low, mirrored, name, comparison, high = match.groups()
        if name not in names:
            raise RequestError(f"region {text!r}: {unknown_name('column' if labels else 'axis', name, names)}")
        column = names.index(name)
        if comparison == "=" and name in axes:
            raise RequestError(
                f"region {text!r}: = selects a single point of axis {name}. Fix: bound it by < and > on both sides"
            )
        if mirrored:
            bounds.append((column, _MIRRORED[mirrored], float(low)))
        if comparison:
            bounds.append((column, comparison, float(high)))
    for column, _, number in bounds:
        if abs(number) > 1 and column < len(axes):
            raise RequestError(f"region {text!r}: {number:g} is out of range; axes run from -1 to 1")
    for column, name in enumerate(names):
        own = [(comparison, number) for at, comparison, number in bounds if at == column]
        if _empty(own, 1.0 if column < len(axes) else math.inf):
            raise RequestError(
                f"region {text!r} is empty along {name}. Fix: to join two regions, give the option once for each"
            )
    return Region(text, tuple(bounds))


def _empty(bounds: Sequence[tuple[str, float]], reach: float) -> bool:
    """Whether no number from `-reach` to `reach` satisfies all bounds."""
    lower = max([number for comparison, number in bounds if comparison[0] == ">"], default=-reach)
    upper = min([number for comparison, number in bounds if comparison[0] == "<"], default=reach)
    exact = [number for comparison, number in bounds if comparison == "="]
    if exact:
        return not all(_COMPARE[comparison](torch.tensor(exact[0]), number) for comparison, number in bounds)
    return lower >= upper


def columns(places: Observations, labels: Sequence[str]) -> Tensor:
    """Coordinates and labels of places, the columns that regions refer to: `(N, D)`."""
    queries = places.queries
    return torch.cat([queries.coords[0], *(getattr(queries, label)[0, :, None] for label in labels)], dim=1)


def union(regions: Sequence[Region], places: Tensor) -> Tensor:
    """Mask `(N,)` of the places `(N, D)`, as returned by `columns`, that lie in any of the regions."""
    inside = torch.zeros(len(places), dtype=torch.bool, device=places.device)
    for one in regions:
        inside |= one.holds(places)
    return inside
