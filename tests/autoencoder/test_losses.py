"""Losses of the D2C-VAE against their definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli

from ddmi_core.autoencoder.adversary import PatchDiscriminator, adaptive_weight, hinge_loss
from ddmi_core.autoencoder.losses import MultiScaleTerm, as_patch, bernoulli_loss, l1_loss, l2_loss, pool

PATCHES = [(1,), (2,), (9,), (1, 1), (1, 7), (5, 4), (8, 8), (1, 1, 1), (3, 4, 5), (2, 3, 1, 5)]
every_patch = pytest.mark.parametrize("patch", PATCHES, ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed))


def test_bernoulli_loss_is_the_negative_log_likelihood():
    logits, targets = random(2, 6, 3), torch.rand(2, 6, 3, generator=seeded(1))
    hard = targets.round()
    expected = -Bernoulli(logits=logits).log_prob(hard).mean(dim=-1)
    torch.testing.assert_close(bernoulli_loss(logits, hard), expected)
    assert torch.isfinite(bernoulli_loss(1e4 * logits, targets)).all()


@pytest.mark.parametrize(("loss", "norm"), [(l1_loss, torch.nn.L1Loss), (l2_loss, torch.nn.MSELoss)])
def test_pointwise_losses_average_over_channels_alone(loss, norm):
    values, targets = random(2, 6, 3), random(2, 6, 3, seed=1)
    assert loss(values, targets).shape == (2, 6)
    torch.testing.assert_close(loss(values, targets).mean(), norm()(values, targets))
    torch.testing.assert_close(loss(values, targets), loss(targets, values))


@every_patch
def test_a_patch_has_the_points_in_order_slowest_axis_first(patch):
    grid = random(2, 3, *patch)
    points = grid.flatten(2).transpose(1, 2)
    assert torch.equal(as_patch(points, patch), grid)


@every_patch
def test_pooling_takes_means_of_two_cells_along_axes_longer_than_one(patch):
    grid = random(2, 3, *patch)
    expected = grid
    for axis, size in enumerate(patch, start=2):
        if size > 1:
            even = expected.narrow(axis, 0, size // 2 * 2).unflatten(axis, (-1, 2))
            expected = even.mean(dim=axis + 1)
    torch.testing.assert_close(pool(grid), expected)


@every_patch
def test_multi_scale_term_is_zero_for_equal_patches_and_for_constant_offsets(patch):
    term, truth = MultiScaleTerm(), random(2, 3, *patch)
    assert term(truth, truth) == 0
    assert term(truth + 0.7, truth).item() == pytest.approx(0, abs=1e-6)


@every_patch
def test_multi_scale_term_is_positive_otherwise_and_proportional_to_the_error(patch):
    term, truth, error = MultiScaleTerm(), random(2, 3, *patch), random(2, 3, *patch, seed=1)
    once, twice = term(truth + error, truth), term(truth + 2 * error, truth)
    torch.testing.assert_close(twice, 2 * once, atol=1e-5, rtol=1e-4)
    assert (once > 0) == (max(patch) > 1)


def test_multi_scale_term_of_a_ramp_is_its_slope_at_every_scale():
    ramp = torch.arange(16.0).reshape(1, 1, 16)
    # Blocks of two cells double the step between neighbours: 1, 2, 4.
    assert MultiScaleTerm(scales=3)(ramp, torch.zeros_like(ramp)).item() == pytest.approx((1 + 2 + 4) / 3)


@pytest.mark.parametrize(("cells", "steps"), [(2, (1,)), (3, (1,)), (4, (1, 2)), (7, (1, 2)), (16, (1, 2, 4))])
def test_multi_scale_term_has_three_scales_as_far_as_the_patch_has_cells(cells, steps):
    ramp = torch.arange(float(cells)).reshape(1, 1, cells)
    assert MultiScaleTerm()(ramp, torch.zeros_like(ramp)).item() == pytest.approx(sum(steps) / len(steps))


def test_multi_scale_term_costs_a_coarse_error_more_than_a_fine_one():
    truth = torch.zeros(1, 1, 16)
    fine = torch.tensor([1.0, -1.0]).repeat(8).reshape(1, 1, 16)
    coarse = torch.tensor([1.0] * 8 + [-1.0] * 8).reshape(1, 1, 16)
    one = MultiScaleTerm(scales=1)
    many = MultiScaleTerm(scales=3)
    assert many(coarse, truth) / one(coarse, truth) > many(fine, truth) / one(fine, truth)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_hinge_loss_is_zero_only_beyond_the_margins(real, rendered):
    loss = hinge_loss(torch.tensor(real), torch.tensor(rendered))
    assert loss >= 0
    assert (loss == 0) == (min(real) >= 1 and max(rendered) <= -1)


def test_hinge_loss_is_half_the_sum_of_the_means_of_what_misses_the_margins():
    real, rendered = torch.tensor([-1.0, 0.5, 3.0]), torch.tensor([0.0, -2.0])
    assert hinge_loss(real, rendered).item() == pytest.approx(((2 + 0.5 + 0) / 3 + (1 + 0) / 2) / 2)


@pytest.mark.parametrize("patch", [(1,), (9,), (1, 1), (5, 16), (3, 4, 5), (2, 3, 1, 5)], ids=str)
def test_the_discriminator_judges_patches_of_any_size(patch):
    torch.manual_seed(0)
    logits = PatchDiscriminator(len(patch), 2, 4)(random(3, 2, *patch), random(3, 0, *patch))[-1]
    assert logits.shape == (3, 1, *[-(-size // 4) for size in patch])


def test_adaptive_weight_is_the_ratio_of_gradient_norms_at_the_last_layer():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    balance = adaptive_weight(
        (weight * torch.tensor([6.0, 8.0])).sum(), (weight * torch.tensor([0.0, 2.0])).sum(), weight
    )
    assert balance.item() == pytest.approx(10 / 2, rel=1e-3)
    assert not balance.requires_grad


@pytest.mark.parametrize(
    ("own", "other", "weight"), [(0.5, 0.0, 5000.0), (3.0, 0.0, 1e4), (0.0, 1.0, 0.0), (2.0, 1e-4, 1e4)]
)
def test_adaptive_weight_is_finite_and_limited(own, other, weight):
    layer = torch.ones(1, requires_grad=True)
    assert adaptive_weight((own * layer).sum(), (other * layer).sum(), layer).item() == pytest.approx(weight, rel=1e-4)
