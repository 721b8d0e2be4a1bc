"""Weight sharing between planes, and exchange of features along common axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

Maps = list[Tensor]  # one (B, C, H, W) per plane


def as_maps(planes: Planes) -> Maps:
    """Planes as 2-D feature maps `(B, C, H, W)`; a line has H = 1."""
    return [plane if plane.ndim == 4 else plane.unsqueeze(2) for plane in planes]


def as_planes(maps: Sequence[Tensor], layout: Layout) -> Planes:
    """The inverse of `as_maps`: removes the H axis of lines."""
    return Planes(m if len(plane) == 2 else m.squeeze(2) for m, plane in zip(maps, layout.planes, strict=True))


def apply_shared(function: Callable[[Tensor], Tensor], maps: Maps) -> Maps:
    """Apply one module to the maps of all planes, as a single batch if their sizes agree."""
    if len(maps) > 1 and len({tuple(m.shape[1:]) for m in maps}) == 1:
        return list(function(torch.cat(maps)).chunk(len(maps)))
    return [function(m) for m in maps]


class AxisExchange(nn.Module):
    """Adds to each plane features of the planes that share an axis with it.

    The mean of the other plane over its second axis is a line of features along the common axis. A linear map
    with shared weights is applied to the line, which is then resized and broadcast across the plane.

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
            for parameter in self.project.parameters():
                nn.init.zeros_(parameter)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
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
