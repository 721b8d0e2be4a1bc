"""Layouts of one, two, three and four axes, and what the tests of modules over planes do with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddmi_core.api import Layout, Planes, Posterior

LAYOUTS = {
    "line": Layout(axes=("t",), planes=(("t",),)),
    "plane": Layout(axes=("x", "y"), planes=(("x", "y"),)),
    "turned": Layout(axes=("x", "y"), planes=(("y", "x"), ("x",))),
    "tri-plane": Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))),
    "mixed": Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("z",), ("z", "y"))),
    "apart": Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("z",))),
}


def grids(layout: Layout, cells: dict[str, int]) -> list[tuple[int, ...]]:
    """Grid of each plane, `(H, W)` or `(W,)`, where the axes have these numbers of cells."""
    return [tuple(cells[axis] for axis in reversed(plane)) for plane in layout.planes]


def cells_of(layout: Layout, *lengths: int) -> dict[str, int]:
    """Lengths given to the axes in turn."""
    return {axis: lengths[number % len(lengths)] for number, axis in enumerate(layout.axes)}


def planes(layout: Layout, channels: int, cells: dict[str, int], batch: int = 2, seed: int = 0) -> Planes:
    """Random planes."""
    generator = torch.Generator().manual_seed(seed)
    return Planes(torch.randn(batch, channels, *grid, generator=generator) for grid in grids(layout, cells))


def perturbed(module: nn.Module, seed: int = 0, scale: float = 0.2) -> nn.Module:
    """The module with noise on all weights, so that layers that start at zero take part."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight += scale * torch.randn(weight.shape, generator=generator)
    return module


def influence(function, inputs: Planes) -> list[list[bool]]:
    """`[i][j]`: whether output plane j depends on input plane i, by changing one input plane at a time."""
    with torch.no_grad():
        before = function(inputs)
        table = []
        for number in range(len(inputs)):
            changed = Planes(plane + (i == number) * torch.randn_like(plane) for i, plane in enumerate(inputs))
            table.append([differs(a, b) for a, b in zip(before, function(changed), strict=True)])
    return table


def differs(first: Tensor, second: Tensor) -> bool:
    return not torch.allclose(first, second, atol=1e-5, rtol=1e-4)


def share_an_axis(layout: Layout) -> list[list[bool]]:
    """`[i][j]`: whether planes i and j have an axis in common."""
    return [[bool(set(a) & set(b)) for b in layout.planes] for a in layout.planes]


def posterior_of_heads(module: nn.Module, given: object, value: float) -> Posterior:
    """The posterior of an encoder whose heads give one value everywhere, for means and log-variances."""
    with torch.no_grad():
        for head in module.heads:
            head.weight.zero_()
            head.bias.fill_(value)
        found: Posterior = module(given)
    return found
