"""How well a reconstructed clip moves as its original does."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import GridRenderer, GridSignal, native_grid


def temporal_consistency(fields: Field, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Agreement of changes from frame to frame, `(B,)`, in [0, 1]."""
    return agreement_of_changes(renderer.native_values(fields), native_grid(signal).cpu())


def agreement_of_changes(first: Tensor, second: Tensor) -> Tensor:
    """One minus the summed difference of two clips' changes from frame to frame, over the sum of both's sizes.

    1 for clips that change alike, whatever they show; 0 where one stands still that should move, flickers that should
    stand still, or moves the other way. Clips that both stand still agree.

    Args:
        first: `(B, V, T, H, W)`.
        second: the same shape.

    Returns:
        `(B,)`
    """
    change, other = (clip.double().diff(dim=2).flatten(1) for clip in (first, second))
    size = change.abs().sum(dim=1) + other.abs().sum(dim=1)
    return (1 - (change - other).abs().sum(dim=1) / size.clamp(min=torch.finfo(torch.float64).tiny)).float()
