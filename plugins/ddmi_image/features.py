"""Picture features without learned weights: colours on a coarse grid, and histograms of edge directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.parts import LpipsTerm

COLOUR_GRID = 4
EDGE_GRID = 3
DIRECTIONS = 4
WORKING = 48  # pixels; pictures are resized to this, so that different native sizes are comparable
EDGE_SCALE = 7.5  # gives edge features the spread of colour features (measured on OpenMoji)
LUMA = (0.299, 0.587, 0.114)


def over_white(pixels: Tensor) -> Tensor:
    """Pictures over white: `(B, 3, H, W)`, from themselves, or from premultiplied colours and alpha, `(B, 4, H, W)`.

    All are in [-1, 1]; with c and a in [0, 1], the result is c + 1 - a.
    """
    return pixels if pixels.shape[1] == 3 else pixels[:, :3] + 1 - pixels[:, 3:]


class OverWhite(nn.Module):
    """A term on patches of colours, for patches with alpha: both are laid over white.

    Args:
        term: of three channels, with the attributes of `LpipsTerm`.
    """

    def __init__(self, term: LpipsTerm) -> None:
        super().__init__()
        self.term, self.axes, self.smallest = term, term.axes, term.smallest

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """The term of patches `(B, 3 or 4, H, W)`."""
        found: Tensor = self.term(over_white(values), over_white(targets))
        return found


def features(pixels: Tensor) -> Tensor:
    """Mean colours of 4 x 4 cells (48), and edge strengths in four directions of 3 x 3 cells (36).

    The strength of an edge is divided between the two nearest directions, so that features vary continuously.

    Args:
        pixels: `(B, 3, H, W)`, in [-1, 1].

    Returns:
        `(B, 84)`
    """
    if pixels.shape[-2:] != (WORKING, WORKING):
        pixels = F.interpolate(pixels, (WORKING, WORKING), mode="bilinear", antialias=True)
    colours = F.adaptive_avg_pool2d(pixels, COLOUR_GRID)
    grey = torch.einsum("bchw,c->bhw", pixels, pixels.new_tensor(LUMA))
    across = (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]) / 2
    down = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]) / 2
    strength = (across.square() + down.square() + 1e-12).sqrt()
    # Edges have no sign: opposite gradients are the same direction.
    turn = torch.atan2(down, across).remainder(math.pi) * (DIRECTIONS / math.pi)
    centres = torch.arange(DIRECTIONS, dtype=pixels.dtype).view(1, -1, 1, 1)
    distance = (turn.unsqueeze(1) - centres).abs()
    distance = torch.minimum(distance, DIRECTIONS - distance)
    edges = F.adaptive_avg_pool2d(strength.unsqueeze(1) * (1 - distance).clamp(min=0), EDGE_GRID)
    return torch.cat([colours.flatten(1), EDGE_SCALE * edges.flatten(1)], dim=1)
