"""Figures of clips beside those of reconstructions: Fréchet video distance, and frames between the trained ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api import Figure, Split, Trained
from ddmi_core.parts import Features, GridRenderer, GridSignal, evenly, frechet_figures, native_grid
from ddmi_video.features import clip_features
from ddmi_video.settings import VideoSettings

PART = 16  # clips in memory at once
RANGE = 2.0  # values lie in [-1, 1]


def video_distance(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Fréchet video distance of samples to held-out clips (arXiv 1812.01717), and that of as many training clips.

    The features' name is part of the figure's: figures on other features are no FVD as papers print it, which is on
    those of an I3D network.
    """
    settings: VideoSettings = model.settings
    chosen, renderer = clip_features(settings.features), _grids(model)
    n = min(count, len(split.held_out), len(split.train))
    if n < 2:
        return []
    real = _features_of_signals(chosen, split.held_out, evenly(len(split.held_out), n))
    trained = _features_of_signals(chosen, split.train, evenly(len(split.train), n))
    made = torch.cat([chosen.compute(renderer.native_values(part)) for part in _samples(model, n, seed)])
    protocol = {
        "samples": n,
        "reference": f"{n} held-out clips",
        "frames": settings.frames,
        "resolution": settings.size,
        "frames a second": settings.rate,
        "seed": seed,
    }
    return frechet_figures("frechet_video_distance", chosen, made, real, trained, "clips", protocol)


def between_frames(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """PSNR of frames between those that the encoder sees, where data has them: drawn from the field, and blended.

    Blended are, linearly, the two nearest frames that the same field shows at the native times and, for comparison,
    those of the clip itself, which are exact.
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
        # Beyond the first and the last native frame there is nothing to blend.
        beyond = frames // native // 2
        inner = slice(beyond, frames - beyond)
        shown = torch.from_numpy(renderer.render(field, tuple(truth.shape[2:])).array()).movedim(-1, 0)[None]
        mixed = blend(renderer.native_values(field), frames)
        exact = blend(native_grid(signal).cpu(), frames)
        for clip, figures in ((shown, drawn), (mixed, blended), (exact, true)):
            figures.append(_decibels(clip[:, :, inner], truth[:, :, inner]))
    protocol = {"n": len(chosen), "frames": int(levels[finer].shape[2]), "native frames": int(native)}
    return [
        Figure("between_frames_db", _mean(drawn), protocol, "frames drawn between native times; higher is better"),
        Figure(
            "between_frames_blended_db", _mean(blended), protocol, "the same, as blends of the field's native frames"
        ),
        Figure("between_frames_true_blended_db", _mean(true), protocol, "as blends of the clip's own frames"),
    ]


def blend(clip: Tensor, frames: int) -> Tensor:
    """A clip `(B, V, T, H, W)` at other times, `frames` of them, by linear blending of its nearest frames."""
    place = ((2 * torch.arange(frames) + 1) * clip.shape[2] / (2 * frames) - 0.5).clamp(0, clip.shape[2] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=clip.shape[2] - 1)
    return torch.lerp(clip[:, :, low], clip[:, :, high], (place - low).view(-1, 1, 1))


def _grids(model: Trained) -> GridRenderer:
    renderer = model.renderer
    assert isinstance(renderer, GridRenderer)
    return renderer


def _samples(model: Trained, n: int, seed: int) -> Sequence[Any]:
    fields = model.sample(n, seed=seed)
    return [fields[start : start + PART] for start in range(0, n, PART)]


def _features_of_signals(chosen: Features, clips: Any, indices: Sequence[int]) -> Tensor:
    parts = [indices[start : start + PART] for start in range(0, len(indices), PART)]
    return torch.cat([chosen.compute(native_grid(clips.batch(part))) for part in parts])


def _decibels(first: Tensor, second: Tensor) -> float:
    return float(10 * torch.log10(RANGE**2 / (first - second).square().mean().clamp(min=1e-10)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
