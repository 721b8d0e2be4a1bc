"""The presets of the image domain: they resolve, and have the sizes that they promise."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.model.build import build_autoencoder, build_diffusion
from ddmi_core.parts import GridSignal
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE


def built(preset):
    """Shapes of latent and basis fields, without memory for weights."""
    config = resolve(IMAGE, preset)
    size = config.domain.size
    with torch.device("meta"):
        model = build_autoencoder(build_parts(IMAGE, config.domain), config)
        latent = model.encode(GridSignal(torch.empty(1, 3, size, size))).mean
        basis = model.decode(latent).basis
    return config, latent, basis


@pytest.mark.parametrize("preset", ImageParts.presets())
def test_preset_builds_with_a_term_and_a_sampler_that_exist(preset):
    config, latent, basis = built(preset)
    assert config.autoencoder.perceptual.kind in build_parts(IMAGE, config.domain).perceptual()
    assert basis[-1][0].shape[-1] == config.domain.size
    from ddmi_core.diffusion.latents import LatentShape

    with torch.device("meta"):
        model = build_diffusion(IMAGE, config, LatentShape.of(latent), 3)
    assert sum(p.numel() for p in model.parameters()) > 0


def test_paper_preset_has_the_sizes_of_the_paper():
    config, latent, basis = built("paper")
    assert config.domain.size == 256
    assert tuple(latent[0].shape) == (1, 64, 64, 64)
    assert [tuple(scale[0].shape[2:]) for scale in basis] == [(64, 64), (128, 128), (256, 256)]
    path = config.diffusion.path
    assert (path.kind, path.steps, path.beta_start, path.beta_end) == ("variance_preserving", 1000, 0.0015, 0.0195)


@pytest.mark.parametrize(("preset", "adversarial"), [("paper", 0.5), ("paper-afhq", 1.0), ("paper-celeba64", 0.5)])
def test_weights_are_those_of_the_authors_sums_over_a_picture(preset, adversarial):
    config, latent, _ = built(preset)
    values, own = 3 * config.domain.size**2, config.autoencoder
    assert own.kl == pytest.approx(0.5 * latent[0].numel() / values, rel=0.01)
    assert own.perceptual.weight == pytest.approx(1 / values, rel=0.01)
    assert own.adversarial.weight == own.adversarial.features == pytest.approx(adversarial / values, rel=0.01)
    assert own.spectral_start == pytest.approx(5 / values, rel=0.01)
    assert own.points == min(config.domain.size**2, 256**2)


def test_afhq_has_the_authors_epochs_of_its_cats():
    config, cats = resolve(IMAGE, "paper-afhq"), 5065
    first, second = config.autoencoder.training, config.diffusion.training
    assert first.batch == second.batch == 4 * 4 * 5
    assert first.steps == pytest.approx(1700 * cats / 80, rel=0.01)
    assert config.autoencoder.adversarial.start == pytest.approx(200 * cats / 80, rel=0.01)
    assert config.autoencoder.kl_anneal == pytest.approx(0.9 * 200 / 1700, rel=0.01)
    assert second.steps == pytest.approx(1500 * cats / 80, rel=0.01)
