"""Sampling and rendering of the image domain: the core's ready parts at the settings' size."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import GridRenderer, GridSampler
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings

LARGEST_VIEW = 1024


def sampler(settings: ImageSettings) -> GridSampler:
    """Random patches of one level of the pictures."""
    return GridSampler(IMAGE.layout)


def renderer(settings: ImageSettings) -> GridRenderer:
    """Pictures of any size; the native one is the settings' size."""
    return GridRenderer(IMAGE.layout, (settings.size, settings.size), (-1.0, 1.0))


def views(settings: ImageSettings) -> tuple[tuple[str, tuple[int, int]], ...]:
    """Four sizes, each twice the one before; the largest is 8 times the native size, or near 1024."""
    largest = settings.size * 8
    while largest > max(LARGEST_VIEW, settings.size):
        largest //= 2
    sizes = [largest // 8, largest // 4, largest // 2, largest]
    return tuple((f"{size} x {size}", (size, size)) for size in sizes)


def native_pixels(fields: Field, renderer: GridRenderer) -> Tensor:
    """Fields drawn at the native size, on the CPU: `(B, 3, H, W)`, clipped to [-1, 1]."""
    drawn = [torch.from_numpy(renderer.render(field).array()) for field in fields]
    return torch.stack(drawn).movedim(-1, 1)
