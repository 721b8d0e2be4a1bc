"""Losses and training of the presets `paper` against the authors' configurations, converted to means."""

from __future__ import annotations

import pytest
from attrs import frozen

from ddmi_core.grids.sampler import patch_shape
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
    annealed: bool  # sn_reg_weight_decay_anneal
    batches: tuple[int, int]  # batch_size * gradient_accumulate_every, also of configs/ldm/NAME.yaml


AUTHORS = {
    "celebahq": (IMAGE, Authors(0.5, 3 * 256 * 256, 64 * 64 * 64, 1e-4, True, (10 * 5, 5 * 5))),
    "shapenet": (OCCUPANCY, Authors(0.01, 2048, 3 * 64 * 16 * 16, 1e-4, True, (12 * 5, 10 * 5))),
    "skytimelapse": (VIDEO, Authors(0.1, 3 * 16 * 256 * 256, 64 * (32 * 32 + 2 * 16 * 32), 1e-4, True, (2 * 5, 2 * 1))),
    "srn_cars": (NERF, Authors(0.05, 20 * 3 * 5000, 3 * 64 * 16 * 16, 5e-5, False, (1 * 10, 32 * 5))),
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
    # The authors' first run, without discriminators, is a part of all epochs.
    first = {"image": 200 / (200 + 400), "video": 200 / (200 + 600)}.get(domain.name, 1.0)
    assert config.kl_anneal == pytest.approx(0.9 * first)
    assert config.adversarial.start == pytest.approx(first * config.training.steps if first < 1 else 0)


@every_preset
def test_the_autoencoder_trains_at_the_authors_rate_with_their_weight_decay_and_no_average(domain, authors):
    training = resolve(domain, "paper").autoencoder.training
    assert (training.rate, training.weight_decay, training.ema) == (authors.rate, 0.01, 0.0)


@every_preset
def test_the_spectral_weight_is_the_authors_relative_to_a_mean(domain, authors):
    config = resolve(domain, "paper").autoencoder
    # Their weight is 5 ** (1 - k) * 0.1 ** k with k the weight of the KL divergence: it stops before 0.1.
    first, last = (5, 5 * 0.02**authors.kl) if authors.annealed else (0, 0.1)
    assert config.spectral_start == pytest.approx(first / authors.values, rel=0.01)
    assert config.spectral == pytest.approx(last / authors.values, rel=0.01)


@every_preset
def test_the_denoiser_trains_as_the_authors_do(domain, authors):
    training = resolve(domain, "paper").diffusion.training
    assert (training.rate, training.schedule, training.warmup, training.beta) == (1e-4, "constant", 0, 0.999)
    assert training.weight_decay == (0.0 if domain is IMAGE else 0.01)  # AdamW's own, unless tools/ldm says 0
    assert training.ema == 0.9999


@pytest.mark.parametrize(
    ("name", "adversarial", "features", "axes"), [("celebahq", 0.5, 0.5, ()), ("skytimelapse", 0.5, 4.0, (2, 3))]
)
def test_terms_of_networks_have_the_authors_weights_relative_to_a_mean(name, adversarial, features, axes):
    domain, authors = AUTHORS[name]
    config = resolve(domain, "paper").autoencoder
    assert config.perceptual.kind == "lpips"
    assert config.perceptual.weight == pytest.approx(1 / authors.values, rel=3e-3)
    options = config.adversarial  # LPIPSWithDiscriminator2D and 3D: disc_weight, feature_weight, disc_ndf
    assert (options.kind, options.width, options.axes, options.adaptive) == ("patchgan", 64, axes, False)
    assert options.weight == pytest.approx(adversarial / authors.values, rel=3e-3)
    assert options.features == pytest.approx(features / authors.values, rel=3e-3)


@pytest.mark.parametrize(("domain", "planes"), [(OCCUPANCY, "sum"), (VIDEO, "concatenate"), (NERF, "concatenate")])
def test_planes_are_joined_as_the_authors_do(domain, planes):
    assert resolve(domain, "paper").autoencoder.readout.planes == planes


@every_preset
def test_a_step_sees_as_many_signals_as_the_authors_four_processes(domain, authors):
    config = resolve(domain, "paper")
    stages = config.autoencoder.training, config.diffusion.training
    assert [stage.batch for stage in stages] == [4 * each for each in authors.batches]


def test_pictures_are_compared_in_blocks_of_the_authors_size():
    assert patch_shape((384, 384), resolve(IMAGE, "paper").autoencoder.points) == (256, 256)


def test_rays_are_the_authors():
    config = resolve(NERF, "paper")
    assert (config.autoencoder.points, config.domain.samples, config.domain.close) == (5000, 256, 0)
    assert config.domain.directions > 0


def test_surface_points_have_the_authors_noise_and_no_normals():
    own = resolve(OCCUPANCY, "paper").domain
    assert (own.surface, own.normals) == (3000, False)
    assert own.noise == pytest.approx(0.005 * 1.8)  # of the longest side, which is 1.8 here
