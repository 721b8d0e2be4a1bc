"""Renderer of radiance fields: colours along rays for training, and views by cameras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api import Field, Queries, Renderer, Trained
from ddmi_core.errors import RequestError
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import usual_camera, view_size
from ddmi_nerf.rendering.radiance import activated, density, density_with_gradient_floor
from ddmi_nerf.rendering.ray_marching import STEP
from ddmi_nerf.rendering.rays import WHITE, RayQueries, crossing
from ddmi_nerf.rendering.scene import Picture, Scene
from ddmi_nerf.rendering.volume_rendering import Samples, closer, composite, importance, stratified
from ddmi_nerf.signal import ViewSignal

SAMPLES = 48


class NerfRenderer(Renderer[Camera, Picture]):
    """Renders colours along rays (`observe`), and views by cameras (`render`).

    Args:
        size: rows and columns of a view by default.
        samples: intervals of a ray in `observe`.
        close: additional cuts of these intervals where the queries locate the object.
        fine: additional cuts by importance sampling from a coarse pass without gradients; 0 omits that pass.
        step: distance between samples of a ray in `render`.
        background: colour behind the cube in views, in [-1, 1].

    Raises:
        RequestError: if the size is out of range.
    """

    def __init__(
        self,
        size: Sequence[int],
        samples: int = SAMPLES,
        close: int = 0,
        fine: int = 0,
        step: float = STEP,
        background: Sequence[float] = (WHITE, WHITE, WHITE),
    ) -> None:
        self.size = view_size(size)
        self.samples, self.close, self.fine, self.step = samples, close, fine, step
        self.evaluations = samples + close + fine
        self.background = torch.tensor(background)

    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Colours `(B, N, 3)` in [-1, 1] of rays; differentiable in the field.

        The result is deterministic. Each ray is divided into equal intervals within the cube. They are sampled at the
        positions given by `RayQueries`, or in the middle for other queries.

        Args:
            field: a batch of fields of density, red, green and blue.
            queries: points at which rays enter the cube, with directions as `extra`.
        """
        jitter, background = torch.full_like(queries.coords[..., 0], 0.5), self.background.to(field.device)
        near, far = crossing(queries.coords, queries.extra)
        close = torch.stack([near, far], dim=-1)
        if isinstance(queries, RayQueries):
            jitter, background = queries.jitter.expand_as(jitter), queries.background
            close = queries.close
        samples = stratified(near, far, self.samples, jitter)
        if self.close:
            samples = closer(samples, close.expand(*near.shape, 2), self.close, jitter)
        if self.fine:
            with torch.no_grad():
                thick, shown = along(field, queries, samples)
                weights = composite(thick, shown, samples.edges, background).weights
            samples = importance(samples.edges, weights, self.fine, jitter)
        thick, shown = along(field, queries, samples)
        return composite(thick, shown, samples.edges, background).colour

    @torch.no_grad()
    def render(self, field: Field, view: Any = None) -> Picture:
        """Render a view of a field.

        Time and memory grow with the number of pixels that show the object.

        Args:
            field: a batch of one.
            view: a `Camera`; or the size of the default view, as one number of pixels, or rows and columns; `None` for
                the native size.

        Raises:
            RequestError: if the size is out of range, or the field is not finite.
            ValueError: if the batch is not one.
        """
        if len(field) != 1:
            raise ValueError(f"render takes a batch of one field, got {len(field)}; render field[i]")
        camera = view if isinstance(view, Camera) else usual_camera(self.size if view is None else view_size(view))
        picture = Picture.of(self.scene(field), camera)
        if not np.isfinite(picture.colour).all():
            raise RequestError(
                "the field has values that are not finite and cannot be rendered; check the model's weights"
            )
        return picture

    def scene(self, field: Field) -> Scene:
        """Prepare one field (B = 1) for rendering of many views."""
        return Scene.of(field, self.background.to(field.device), self.step)


def along(field: Field, queries: Queries, samples: Samples) -> tuple[Tensor, Tensor]:
    """Density `(B, N, S)` and colour `(B, N, S, 3)` at samples of rays."""
    points = queries.coords[:, :, None] + samples.places[..., None] * queries.extra[:, :, None]
    values = field(points.flatten(1, 2)).view(*samples.places.shape, -1)
    training = isinstance(queries, RayQueries) and queries.training
    return activated(values, queries.extra[:, :, None], density_with_gradient_floor if training else density)


def renderer_of(model: Trained) -> NerfRenderer:
    """The renderer of a trained model.

    Raises:
        TypeError: if the model has a renderer of another type.
    """
    renderer = model.renderer
    if not isinstance(renderer, NerfRenderer):
        raise TypeError(f"a radiance field needs a NerfRenderer; the model has a {type(renderer).__name__}")
    return renderer


def ground_truth(signal: ViewSignal, index: int, renderer: NerfRenderer) -> Picture:
    """The first image of one object, without depth and normals."""
    colour = signal.images[index, 0].float().movedim(0, -1).cpu().contiguous().numpy()
    opacity = signal.opacity[index, 0, 0].float().cpu().contiguous().numpy()
    unknown = np.zeros_like(opacity)
    return Picture(colour, opacity, unknown, np.zeros_like(colour), signal.camera(index, 0))
