"""Maps of several planes processed with shared weights, and features exchanged along common axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

Maps = list[Tensor]


def as_maps(planes: Planes) -> Maps:
    """Planes as maps `(B, C, H, W)`; a line has H = 1."""
    return [plane if plane.ndim == 4 else plane.unsqueeze(2) for plane in planes]


def as_planes(maps: Sequence[Tensor], layout: Layout) -> Planes:
    """Maps back to planes: lines lose their axis of size one."""
    return Planes(m if len(plane) == 2 else m.squeeze(2) for m, plane in zip(maps, layout.planes, strict=True))


def shared(function: Callable[[Tensor], Tensor], maps: Maps) -> Maps:
    """Apply one module to all maps, in a single batch where their sizes agree."""
    if len(maps) > 1 and len({tuple(m.shape[1:]) for m in maps}) == 1:
        return list(function(torch.cat(maps)).chunk(len(maps)))
    return [function(m) for m in maps]


class AxisExchange(nn.Module):
    """Adds to each plane what the other planes show along the axes they have in common.

    A plane's mean over its other axis is a line of features on the common axis; a shared linear map
    of it, resized, is added at every position across that axis.

    Args:
        layout: planes and axes.
        channels: channels of the maps.
    """

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.pairs = [
            (here, there, plane.index(axis), other.index(axis))
            for here, plane in enumerate(layout.planes)
            for there, other in enumerate(layout.planes)
            if here != there
            for axis in plane
            if axis in other
        ]
        self.project = nn.Conv1d(channels, channels, 1) if self.pairs else None
        if self.project is not None:
            nn.init.zeros_(self.project.weight)
            assert self.project.bias is not None
            nn.init.zeros_(self.project.bias)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` a plane to the same shapes."""
        if self.project is None:
            return maps
        exchanged = list(maps)
        for here, there, place, other_place in self.pairs:
            # The first axis of a plane runs along W (dimension 3), the second along H (dimension 2).
            line = self.project(maps[there].mean(dim=2 + other_place))
            size = maps[here].shape[3 - place]
            if line.shape[-1] != size:
                line = F.interpolate(line, size=size, mode="linear", align_corners=False)
            exchanged[here] = exchanged[here] + line.unsqueeze(2 + place)
        return exchanged
