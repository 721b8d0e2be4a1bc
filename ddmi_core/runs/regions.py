"""Regions of a domain's coordinates, said in words: `x<0, -0.5<y<0.5`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import RequestError, unknown_name

_NUMBER, _NAME = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", r"[A-Za-z_]\w*"
_BOUND = re.compile(rf"(?:({_NUMBER})\s*(<=?|>=?))?\s*({_NAME})\s*(?:(<=?|>=?)\s*({_NUMBER}))?")
_COMPARE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@frozen
class Region:
    """Places whose coordinates keep several bounds at once."""

    text: str
    bounds: tuple[tuple[int, str, float], ...]  # column, comparison, number

    def holds(self, coords: Tensor) -> Tensor:
        """Which of the places `(N, D)` lie inside: `(N,)`."""
        inside = torch.ones(len(coords), dtype=torch.bool, device=coords.device)
        for column, comparison, number in self.bounds:
            inside &= _COMPARE[comparison](coords[:, column], number)
        return inside


def region(text: str, axes: Sequence[str]) -> Region:
    """The region that a text describes: bounds of axes joined by commas, all of which hold.

    Args:
        text: such as `t<-0.5` or `x<0, -0.5<y<=0.5`.
        axes: names of the domain's axes.

    Raises:
        RequestError: if it has another form, names an unknown axis, leaves [-1, 1], or is empty.

    Example:
        >>> region("x<0, -0.5<y<0.5", ("x", "y")).bounds
        ((0, '<', 0.0), (1, '>', -0.5), (1, '<', 0.5))
    """
    bounds: list[tuple[int, str, float]] = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None or not (match[2] or match[4]):
            raise RequestError(
                f"region {text!r}: {part.strip()!r} bounds no axis; write bounds such as {axes[0]}<0 or "
                f"-0.5<{axes[-1]}<0.5, joined by commas"
            )
        low, turned, name, comparison, high = match.groups()
        if name not in axes:
            raise RequestError(f"region {text!r}: {unknown_name('axis', name, axes)}")
        column = list(axes).index(name)
        if turned:
            bounds.append((column, _TURNED[turned], float(low)))
        if comparison:
            bounds.append((column, comparison, float(high)))
    for _, _, number in bounds:
        if abs(number) > 1:
            raise RequestError(f"region {text!r}: {number:g} lies outside of the axes, which run from -1 to 1")
    for column, name in enumerate(axes):
        over = [number for at, comparison, number in bounds if at == column and comparison[0] == ">"]
        under = [number for at, comparison, number in bounds if at == column and comparison[0] == "<"]
        if max(over, default=-1.0) >= min(under, default=1.0):
            raise RequestError(
                f"region {text!r} is empty along {name}; to join two regions, give the option once for each"
            )
    return Region(text, tuple(bounds))


def union(regions: Sequence[Region], coords: Tensor) -> Tensor:
    """Which of the places `(N, D)` lie in any of the regions: `(N,)`."""
    inside = torch.zeros(len(coords), dtype=torch.bool, device=coords.device)
    for one in regions:
        inside |= one.holds(coords)
    return inside
