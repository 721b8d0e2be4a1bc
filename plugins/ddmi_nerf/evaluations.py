"""Figures beside those of the views that training may see: views that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ddmi_core.api import Figure, Split, Trained
from ddmi_nerf.metrics import depth_consistency, psnr_db, ssim
from ddmi_nerf.rendering import NerfRenderer
from ddmi_nerf.views_set import ViewSet

PART = 8  # objects in memory at once


def novel_views(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """PSNR and SSIM of held-out views of held-out objects, whose other views and points the encoder sees."""
    held = split.held_out
    if not isinstance(held, ViewSet):
        return []
    chosen = torch.linspace(0, len(held) - 1, min(count, len(held))).round().long().tolist()
    if not held.novel(chosen[:1]).images.shape[1]:
        return []
    renderer, decibels, similarities = _renderer(model), [], []
    for start in range(0, len(chosen), PART):
        part = chosen[start : start + PART]
        fields = model.decode(model.encode(held.batch(part)).mean)
        signal = held.novel(part)
        decibels.append(psnr_db(fields, signal, renderer))
        similarities.append(ssim(fields, signal, renderer))
    views, size = held.novel(chosen[:1]).images.shape[1], model.settings.size
    protocol = {"objects": len(chosen), "views": int(views), "resolution": size, "seed": seed}
    return [
        Figure("novel_view_psnr_db", float(torch.cat(decibels).mean()), protocol, "views that were held out; higher"),
        Figure("novel_view_ssim", float(torch.cat(similarities).mean()), protocol, "the same views; higher is better"),
    ]


def sampled_depths(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Consistency of depths between views of samples, beside which reconstructions have their own."""
    n = min(count, 32)
    fields = model.sample(n, seed=seed)
    value = float(depth_consistency(fields, split.held_out.batch([0]), _renderer(model)).mean())
    protocol = {"samples": n, "cameras": 8, "seed": seed}
    return [Figure("sampled_depth_consistency", value, protocol, "depths of samples that agree between views; higher")]


def _renderer(model: Trained) -> NerfRenderer:
    renderer = model.renderer
    assert isinstance(renderer, NerfRenderer)
    return renderer
