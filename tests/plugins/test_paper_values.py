"""Losses and training of the presets `paper` against the authors' configurations, converted to means."""

from __future__ import annotations

import pytest
from attrs import frozen

from ddmi_core.settings.resolve import resolve
from ddmi_image.plugin import IMAGE
from ddmi_nerf.plugin import NERF
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_video.plugin import VIDEO


@frozen
class Authors:
    """Numbers of `configs/d2c-vae/NAME.yaml`, and of the loss in `tools/d2c_vae`."""

    kl: float  # kl_max_coeff
    values: int  # terms of the sum that is the reconstruction loss, times its factor
    elements: int  # of the latent
    rate: float


AUTHORS = {
    "celebahq": (IMAGE, Authors(0.5, 3 * 256 * 256, 64 * 64 * 64, 1e-4)),
    "shapenet": (OCCUPANCY, Authors(0.01, 2048, 3 * 64 * 16 * 16, 1e-4)),
    "skytimelapse": (VIDEO, Authors(0.1, 3 * 16 * 256 * 256, 64 * (32 * 32 + 2 * 16 * 32), 1e-4)),
    "srn_cars": (NERF, Authors(0.05, 20 * 3 * 5000, 3 * 64 * 16 * 16, 5e-5)),
}
every_preset = pytest.mark.parametrize(("domain", "authors"), AUTHORS.values(), ids=AUTHORS)


@every_preset
def test_the_kl_weight_is_the_authors_relative_to_a_mean(domain, authors):
    config = resolve(domain, "paper").autoencoder
    # weight * sum over elements / sum over values = our weight * mean over elements / mean over values
    assert config.kl == pytest.approx(authors.kl * authors.elements / authors.values, rel=3e-3)


@every_preset
def test_the_kl_weight_grows_over_nine_tenths_of_the_authors_run(domain, authors):
    config = resolve(domain, "paper").autoencoder
    # The authors' first run has no discriminator; it is a third of all epochs of CelebA-HQ (200 of 200 + 400).
    first = config.adversarial.start / config.training.steps if domain is IMAGE else 1
    assert config.kl_anneal == pytest.approx(0.9 * first)


@every_preset
def test_the_autoencoder_trains_at_the_authors_rate_with_their_weight_decay_and_no_average(domain, authors):
    training = resolve(domain, "paper").autoencoder.training
    assert (training.rate, training.weight_decay, training.ema) == (authors.rate, 0.01, 0.0)


def test_lpips_of_images_has_the_weight_1_of_a_sum():
    perceptual = resolve(IMAGE, "paper").autoencoder.perceptual
    assert perceptual.kind == "lpips"
    assert perceptual.weight == pytest.approx(1 / (3 * 256 * 256), rel=3e-3)


@pytest.mark.parametrize(("domain", "planes"), [(OCCUPANCY, "sum"), (VIDEO, "concatenate"), (NERF, "concatenate")])
def test_planes_are_joined_as_the_authors_do(domain, planes):
    assert resolve(domain, "paper").autoencoder.readout.planes == planes


def test_rays_are_the_authors():
    config = resolve(NERF, "paper")
    assert (config.autoencoder.points, config.domain.samples, config.domain.close) == (5000, 256, 0)
    assert config.domain.directions > 0


def test_surface_points_have_the_authors_noise_and_no_normals():
    own = resolve(OCCUPANCY, "paper").domain
    assert (own.surface, own.normals) == (3000, False)
    assert own.noise == pytest.approx(0.005 * 1.8)  # of the longest side, which is 1.8 here
