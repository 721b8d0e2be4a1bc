"""Metrics of clips: temporal consistency of reconstructions, and frame interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddmi_core.api import Estimate, Field, Figure, Split, Trained
from ddmi_core.parts import GridRenderer, GridSignal, evenly, native_grid

RANGE = 2.0  # of values, which are in [-1, 1]


def temporal_consistency(fields: Field, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Agreement of the changes between frames with those of the original, `(B,)`, in [0, 1]; see below."""
    return agreement_of_changes(renderer.native_values(fields), native_grid(signal).cpu())


def agreement_of_changes(first: Tensor, second: Tensor) -> Tensor:
    """Agreement of the temporal differences d and d' of two clips: 1 - sum |d - d'| / (sum |d| + sum |d'|).

    It is 1 for clips that change in the same way, whatever their content, and 0 if one of them is static, flickers, or
    moves in the opposite direction. Two static clips agree.

    Args:
        first: `(B, V, T, H, W)`.
        second: the same shape.

    Returns:
        `(B,)`
    """
    change, other = (clip.double().diff(dim=2).flatten(1) for clip in (first, second))
    size = change.abs().sum(dim=1) + other.abs().sum(dim=1)
    return (1 - (change - other).abs().sum(dim=1) / size.clamp(min=torch.finfo(torch.float64).tiny)).float()


def between_frames(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """PSNR of frames between the native ones, if the data have such frames: from the field, and by linear blending.

    The field at the times in between is compared with blends of its own native frames, and with blends of the
    original's native frames.
    """
    held = split.held_out
    levels = held.batch([0]).levels()
    native = levels[0].shape[2]
    finer = next((number for number, level in enumerate(levels) if level.shape[2] > native), None)
    if finer is None:
        return []
    chosen, renderer = evenly(len(held), min(count, len(held))), _grids(model)
    drawn: list[float] = []
    blended: list[float] = []
    true: list[float] = []
    for index in chosen:
        signal = held.batch([index])
        truth = native_grid(GridSignal(signal.levels()[finer])).cpu()
        field = model.reconstruct(signal)
        frames = truth.shape[2]
        # Frames before the first and after the last native frame cannot be blended.
        beyond = frames // native // 2
        inner = slice(beyond, frames - beyond)
        shown = torch.from_numpy(renderer.render(field, tuple(truth.shape[2:])).array()).movedim(-1, 0)[None]
        mixed = blend(renderer.native_values(field), frames)
        exact = blend(native_grid(signal).cpu(), frames)
        for clip, values in ((shown, drawn), (mixed, blended), (exact, true)):
            values.append(_decibels(clip[:, :, inner], truth[:, :, inner]))
    protocol = {
        "n": len(chosen),
        "signals": "reconstructions of held-out clips",
        "reference": "the frames of each clip",
        "frames": int(levels[finer].shape[2]),
        "native frames": int(native),
        "latent": "posterior mean, without noise",
    }
    figures = (
        ("between_frames_db", drawn, "frames drawn between native times; higher is better"),
        ("between_frames_blended_db", blended, "the same, as blends of the field's native frames"),
        ("between_frames_true_blended_db", true, "as blends of the clip's own frames"),
    )
    return [Estimate.mean(torch.tensor(values)).figure(name, protocol, about) for name, values, about in figures]


def blend(clip: Tensor, frames: int) -> Tensor:
    """Resample a clip `(B, V, T, H, W)` to `frames` frames by linear blending of the nearest ones."""
    place = ((2 * torch.arange(frames) + 1) * clip.shape[2] / (2 * frames) - 0.5).clamp(0, clip.shape[2] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=clip.shape[2] - 1)
    return torch.lerp(clip[:, :, low], clip[:, :, high], (place - low).view(-1, 1, 1))


def _grids(model: Trained) -> GridRenderer:
    if not isinstance(model.renderer, GridRenderer):
        raise TypeError(f"these figures need a GridRenderer, not a {type(model.renderer).__name__}")
    return model.renderer


def _decibels(first: Tensor, second: Tensor) -> float:
    return float(10 * torch.log10(RANGE**2 / (first - second).square().mean().clamp(min=1e-10)))
