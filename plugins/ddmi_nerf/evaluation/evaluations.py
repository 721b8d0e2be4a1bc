"""Evaluations of a trained model: held-out views of objects, depths of samples, and Fréchet distance of views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api import Figure, SignalSet, Split, Trained
from ddmi_core.parts import evenly, frechet_figures
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.evaluation import preflight
from ddmi_nerf.evaluation.features import FEATURES
from ddmi_nerf.evaluation.metrics import depth_consistency, psnr_db, ssim, views
from ddmi_nerf.rendering.renderer import renderer_of
from ddmi_nerf.settings import NerfSettings

PART = 8  # objects at once


def novel_views(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """PSNR, SSIM and optionally LPIPS of held-out views of held-out objects.

    The encoder receives the objects' other views and points.
    """
    held = split.held_out
    if not isinstance(held, ViewSet):
        return []
    chosen = evenly(len(held), min(count, len(held)))
    if not held.novel(chosen[:1]).images.shape[1]:
        return []
    renderer, network = renderer_of(model), preflight.lpips(model.settings)
    decibels, similarities, distances = [], [], []
    for start in range(0, len(chosen), PART):
        part = chosen[start : start + PART]
        fields = model.reconstruct(held.batch(part))
        signal = held.novel(part)
        decibels.append(psnr_db(fields, signal, renderer))
        similarities.append(ssim(fields, signal, renderer))
        if network is not None:
            for index, field in enumerate(fields):
                shown, true = views(field, signal, index, renderer), signal.images[index].cpu()
                with torch.no_grad():
                    distances.append(network(shown, true).mean())
    count, size = held.novel(chosen[:1]).images.shape[1], model.settings.size
    protocol = {"objects": len(chosen), "views": int(count), "resolution": size, "seed": seed}
    figures = [
        Figure("novel_view_psnr_db", float(torch.cat(decibels).mean()), protocol, "held-out views; higher is better"),
        Figure("novel_view_ssim", float(torch.cat(similarities).mean()), protocol, "the same views; higher is better"),
    ]
    if distances:
        learned = {**protocol, "network": "LPIPS, VGG", "weights": model.settings.lpips}
        value = float(torch.stack(distances).mean())
        figures.append(Figure("novel_view_lpips", value, learned, "the same views; lower is better"))
    return figures


def sampled_depths(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Consistency of depths between views of samples, for comparison with that of reconstructions."""
    n = min(count, 32)
    fields = model.sample(n, seed=seed)
    value = float(depth_consistency(fields, split.held_out.batch([0]), renderer_of(model)).mean())
    protocol = {"samples": n, "cameras": 8, "seed": seed}
    return [
        Figure(
            "sampled_depth_consistency", value, protocol, "depths of samples that agree between views; higher is better"
        )
    ]


def view_distance(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Fréchet distance between views of samples and of held-out objects, and that of equally many training objects.

    Each sample is rendered by the cameras of one held-out object, so that both sets have the same cameras. The
    features have no learned weights, and their name is part of the figure's, so it is not the FID of papers.
    """
    settings: NerfSettings = model.settings
    chosen, renderer = FEATURES, renderer_of(model)
    n = min(count, len(split.held_out), len(split.train))
    if n < 2:
        return []
    fields = model.sample(n, seed=seed)
    made, real, poses = [], [], []
    for numbers, held in _parts(split.held_out, n):
        real.append(chosen.compute(held.images.flatten(0, 1).cpu()))
        poses.append(held.to_world)
        made += [chosen.compute(views(fields[number], held, i, renderer)) for i, number in enumerate(numbers)]
    trained = [chosen.compute(part.images.flatten(0, 1).cpu()) for _, part in _parts(split.train, n)]
    protocol: dict[str, Any] = {
        "samples": n,
        "reference": f"{n} held-out objects",
        "views an object": int(poses[0].shape[1]),
        "cameras": f"those of the held-out objects: {_places(torch.cat(poses))}",
        "resolution": settings.size,
        "background": settings.background,
        "seed": seed,
    }
    name = "frechet_view_distance"
    return frechet_figures(name, chosen, torch.cat(made), torch.cat(real), torch.cat(trained), "objects", protocol)


def _parts(objects: SignalSet, n: int) -> Iterator[tuple[range, Any]]:
    """`n` evenly spaced objects: their positions among these, and their signals, in parts."""
    chosen = evenly(len(objects), n)
    for start in range(0, n, PART):
        part = chosen[start : start + PART]
        yield range(start, start + len(part)), objects.batch(part)


def _places(to_world: Tensor) -> str:
    """A description of the cameras' positions."""
    origins = to_world[..., :3, 3].reshape(-1, 3).double()
    away = origins.norm(dim=1)
    rise = torch.rad2deg(torch.asin(origins[:, 2] / away.clamp_min(1e-12)))
    return f"elevations {rise.min():.0f} to {rise.max():.0f} degrees, distances {away.min():.2g} to {away.max():.2g}"
