"""Evaluations of a trained model: held-out views of objects and depths of samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddmi_core.api import Estimate, Figure, Split, Trained
from ddmi_core.parts import evenly, structural_similarity
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.evaluation import preflight
from ddmi_nerf.evaluation.metrics import AROUND, decibels, depth_consistency, pictures
from ddmi_nerf.rendering.renderer import renderer_of
from ddmi_nerf.rendering.scene import Scene

PART = 8  # objects at once
VIEWS = 32  # of an object at once


def novel_views(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """PSNR, SSIM and optionally LPIPS of all held-out views of held-out objects: means over views, then over objects.

    The encoder receives the objects' other views and points.
    """
    held = split.held_out
    if not isinstance(held, ViewSet):
        return []
    chosen = evenly(len(held), min(count, len(held)))
    if not held.novel_views:
        return []
    renderer, network = renderer_of(model), preflight.lpips(model.settings)
    rows = []
    for start in range(0, len(chosen), PART):
        part = chosen[start : start + PART]
        fields = model.reconstruct(held.batch(part))
        rows += [
            _agreement(renderer.scene(field), held, number, network) for number, field in zip(part, fields, strict=True)
        ]
    quality = torch.stack(rows)
    protocol = {
        "n": len(chosen),
        "signals": "reconstructions of held-out objects",
        "reference": f"{held.novel_views} held-out views of each",
        "resolution": model.settings.size,
        "latent": "posterior mean of the training views, without noise",
    }
    figures = [
        Estimate.mean(quality[:, 0]).figure("novel_view_psnr_db", protocol, "held-out views; higher is better"),
        Estimate.mean(quality[:, 1]).figure("novel_view_ssim", protocol, "the same views; higher is better"),
    ]
    if network is not None:
        learned = {**protocol, "network": {"name": "lpips", "backbone": "vgg", **preflight.record(model.settings)}}
        figures.append(
            Estimate.mean(quality[:, 2]).figure("novel_view_lpips", learned, "the same views; lower is better")
        )
    return figures


@torch.no_grad()
def _agreement(scene: Scene, held: ViewSet, number: int, network: nn.Module | None) -> Tensor:
    """PSNR, SSIM and LPIPS (if there is a network) of one object, means over its held-out views."""
    found = []
    for start in range(0, held.novel_views, VIEWS):
        signal = held.novel([number], range(start, min(start + VIEWS, held.novel_views)))
        true = signal.images[0].cpu()
        shown = pictures(scene, [signal.camera(0, view) for view in range(len(true))])
        parts = [decibels(shown, true), structural_similarity(shown, true)]
        parts += [] if network is None else [network(shown, true).flatten()]
        found.append(torch.stack([part.double() for part in parts]))
    return torch.cat(found, dim=1).mean(dim=1)


def sampled_depths(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Consistency of depths between views of samples, for comparison with that of reconstructions."""
    n = min(count, 32)
    fields = model.sample(n, seed=seed)
    found = Estimate.mean(depth_consistency(fields, split.held_out.batch([0]), renderer_of(model)))
    protocol = {"n": n, "reference": "none: views of one sample are compared", "cameras": AROUND, "seed": seed}
    about = "depths of samples that agree between views; higher is better"
    return [found.figure("sampled_depth_consistency", protocol, about)]
