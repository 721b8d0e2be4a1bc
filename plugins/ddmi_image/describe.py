"""A description of pictures without learned weights: colours in a coarse grid, and directions of edges."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.parts import grid_features_by

COLOUR_GRID = 4
EDGE_GRID = 3
DIRECTIONS = 4
WORKING = 48  # pictures are described at this size, so that native sizes compare
EDGE_SCALE = 7.5  # makes the spread of the edge features that of the colour features (measured on OpenMoji)
LUMA = (0.299, 0.587, 0.114)


def features(pixels: Tensor) -> Tensor:
    """Mean colours of 4 x 4 cells (48), and edge strengths in four directions of 3 x 3 cells (36).

    An edge's strength is shared between the two nearest directions, so that features vary continuously.

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
    # Directions are those of lines, so opposite gradients count as one.
    turn = torch.atan2(down, across).remainder(math.pi) * (DIRECTIONS / math.pi)
    centres = torch.arange(DIRECTIONS, dtype=pixels.dtype).view(1, -1, 1, 1)
    distance = (turn.unsqueeze(1) - centres).abs()
    distance = torch.minimum(distance, DIRECTIONS - distance)
    edges = F.adaptive_avg_pool2d(strength.unsqueeze(1) * (1 - distance).clamp(min=0), EDGE_GRID)
    return torch.cat([colours.flatten(1), EDGE_SCALE * edges.flatten(1)], dim=1)


describe, describe_signal = grid_features_by(features)
