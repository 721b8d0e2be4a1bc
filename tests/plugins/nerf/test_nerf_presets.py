"""The presets of the radiance-field domain: they resolve, build, and have the sizes that they promise."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_nerf.parts import NerfParts
from ddmi_nerf.plugin import NERF
from ddmi_nerf.signal import ViewSignal


@cache
def built(preset, *sets):
    """The configuration, and the latent and the basis fields of an object."""
    config = resolve(NERF, preset, overrides=sets)
    model = build_autoencoder(build_parts(NERF, config.domain), config)
    size, points = config.domain.size, 2 * torch.rand(1, 64, 3) - 1
    signal = ViewSignal(
        images=torch.zeros(1, 2, 3, size, size),
        opacity=torch.ones(1, 2, 1, size, size),
        to_world=torch.eye(4).expand(1, 2, 4, 4),
        intrinsics=torch.ones(1, 2, 4),
        points=points,
        point_colours=points,
        background=torch.ones(1, 3),
    )
    with torch.no_grad():
        latent = model.encode(signal).mean
        return config, latent, model.decode(latent).basis


@pytest.mark.parametrize("preset", NerfParts.presets())
def test_preset_builds_with_terms_and_conditions_that_exist(preset):
    config, latent, basis = built(preset)
    assert config.autoencoder.perceptual.kind == "none"
    assert config.diffusion.condition in (*build_parts(NERF, config.domain).conditions(), "none")
    assert [tuple(plane.shape[2:]) for plane in basis[-1]] == [(config.domain.plane,) * 2] * 3
    with torch.device("meta"):
        model = build_diffusion(NERF, config, LatentShape.of(latent), 0, 384)
    assert sum(p.numel() for p in model.parameters()) > 0


def test_an_encoder_of_views_gives_latents_of_the_same_shape():
    _, latent, _ = built("tiny")
    _, other, _ = built("tiny", "domain.encoder=views")
    assert [plane.shape for plane in other] == [plane.shape for plane in latent]


def test_paper_preset_has_the_sizes_of_the_paper():
    config, latent, basis = built("paper")
    assert [tuple(plane.shape) for plane in latent] == [(1, 64, 16, 16)] * 3
    assert [tuple(scale[0].shape[1:]) for scale in basis] == [(32, 64, 64)]
    assert (config.domain.size, config.domain.points) == (128, 3000)
    assert (config.autoencoder.points, config.domain.samples, config.domain.close) == (5000, 256, 0)
    path = config.diffusion.path
    assert (path.kind, path.steps, path.beta_start, path.beta_end) == ("variance_preserving", 1000, 0.0015, 0.0195)


def test_an_encoder_of_views_trains(tmp_path, monkeypatch):
    """Over twenty steps on the same cars, the error falls to less than half."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = resolve(NERF, "tiny", overrides=["domain.encoder=views", "domain.count=8"])
    model, parts = build_autoencoder(build_parts(NERF, config.domain), config), build_parts(NERF, config.domain)
    signal = load_data(build_parts(NERF, config.domain), "").train.batch(range(4))
    optimiser, generator, errors = torch.optim.Adam(model.parameters(), 5e-3), torch.Generator().manual_seed(0), []
    for _ in range(20):
        queries = parts.sampler.sample(signal, 64, generator)
        shown = parts.renderer.observe(model.decode(model.encode(signal).mean), queries)
        loss = (shown - queries.targets).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert sum(errors[-3:]) < 0.5 * sum(errors[:3])
    assert all(some.grad is not None and some.grad.any() for some in model.encoder.pictures.parameters())
