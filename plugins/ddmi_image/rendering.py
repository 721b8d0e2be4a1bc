"""Sampling and rendering of the image domain: the core's ready parts at the settings' size."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import GridRenderer, GridSampler
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings


def sampler(settings: ImageSettings) -> GridSampler:
    """Random patches of one level of the pictures."""
    return GridSampler(IMAGE.layout)


def renderer(settings: ImageSettings) -> GridRenderer:
    """Pictures of any size; the native one is the settings' size."""
    return GridRenderer(IMAGE.layout, (settings.size, settings.size), (-1.0, 1.0))


def native_pixels(fields: Field, renderer: GridRenderer) -> Tensor:
    """Fields drawn at the native size, on the CPU: `(B, 3, H, W)`, clipped to [-1, 1]."""
    drawn = [torch.from_numpy(renderer.render(field).array()) for field in fields]
    return torch.stack(drawn).movedim(-1, 1)
