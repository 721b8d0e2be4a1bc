"""The presets of the occupancy domain: they resolve, build, and have the sizes that they promise."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_occupancy.parts import OccupancyParts
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.signal import ShapeSignal


@cache
def built(preset):
    """The configuration, and the latent and the basis fields of a shape."""
    config = resolve(OCCUPANCY, preset)
    model = build_autoencoder(build_parts(OCCUPANCY, config.domain), config)
    points = torch.rand(1, 64, 3)
    with torch.no_grad():
        latent = model.encode(ShapeSignal(points, points, points, points[..., 0], points[..., 0])).mean
        return config, latent, model.decode(latent).basis


@pytest.mark.parametrize("preset", OccupancyParts.presets())
def test_preset_builds_with_terms_and_conditions_that_exist(preset):
    config, latent, basis = built(preset)
    assert config.autoencoder.perceptual.kind == "none"
    assert config.diffusion.condition in (*build_parts(OCCUPANCY, config.domain).conditions(), "none")
    assert [tuple(plane.shape[2:]) for plane in basis[-1]] == [(config.domain.plane,) * 2] * 3
    with torch.device("meta"):
        model = build_diffusion(OCCUPANCY, config, LatentShape.of(latent), 0, 384)
    assert sum(p.numel() for p in model.parameters()) > 0


@pytest.mark.parametrize("used", [True, False])
def test_normals_reach_the_encoder_if_asked(used):
    config = resolve(OCCUPANCY, "quick", overrides=[f"domain.normals={str(used).lower()}"])
    encoder = build_autoencoder(build_parts(OCCUPANCY, config.domain), config).encoder
    points, none = torch.rand(1, 64, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 0)
    first, second = (encoder(ShapeSignal(points, normals, points, none, none)).mean for normals in (points, -points))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)) == (not used)


@pytest.mark.parametrize("preset", OccupancyParts.presets())
def test_the_loss_does_not_draw_more_points_than_a_shape_has(preset):
    config = resolve(OCCUPANCY, preset)
    assert config.autoencoder.points <= config.domain.points


def test_paper_preset_has_the_sizes_of_the_paper():
    config, latent, basis = built("paper")
    assert [tuple(plane.shape) for plane in latent] == [(1, 64, 16, 16)] * 3
    assert [tuple(scale[0].shape[1:]) for scale in basis] == [(64, 16, 16), (64, 32, 32), (64, 64, 64)]
    assert (config.domain.surface, config.autoencoder.points, config.domain.resolution) == (3000, 2048, 128)
    path = config.diffusion.path
    assert (path.kind, path.steps, path.beta_start, path.beta_end) == ("variance_preserving", 1000, 0.0015, 0.0195)
