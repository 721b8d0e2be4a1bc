"""Planes, and the Gaussian posterior over latents."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from ddmi_core.api import Planes, Posterior


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed))


def test_planes_of_one_size_stack_and_lines_get_height_one():
    lines = Planes([random(2, 3, 5), random(2, 3, 5, seed=1)])
    assert torch.equal(lines.stacked(), torch.stack([*lines], dim=1).unsqueeze(3))
    maps = Planes([random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)])
    assert torch.equal(maps.stacked(), torch.stack([*maps], dim=1))
    with pytest.raises(ValueError, match=r"different sizes: \(3, 1, 5\), \(3, 1, 4\)"):
        Planes([torch.zeros(2, 3, 5), torch.zeros(2, 3, 4)]).stacked()


def test_a_batch_of_planes_is_mapped_plane_by_plane():
    planes = Planes([random(4, 3, 5), random(4, 2, 6, 7)])
    assert planes.batch == 4
    doubled = planes.map(lambda plane: 2 * plane)
    assert isinstance(doubled, Planes)
    assert all(torch.equal(a, 2 * b) for a, b in zip(doubled, planes, strict=True))


def test_kl_is_the_divergence_from_the_standard_normal_summed_over_planes():
    mean = Planes([random(3, 2, 4, 5), random(3, 2, 7, seed=1)])
    log_variance = Planes([random(3, 2, 4, 5, seed=2), random(3, 2, 7, seed=3)])
    expected = torch.zeros(3)
    for m, v in zip(mean, log_variance, strict=True):
        dims = m.ndim - 1
        posterior = Independent(Normal(m, (v / 2).exp()), dims)
        prior = Independent(Normal(torch.zeros_like(m), torch.ones_like(m)), dims)
        expected += kl_divergence(posterior, prior)
    torch.testing.assert_close(Posterior(mean, log_variance).kl(), expected)


def test_samples_of_a_posterior_have_its_moments_and_follow_the_generator():
    mean, log_variance = Planes([torch.full((1, 1, 40000), 1.5)]), Planes([torch.full((1, 1, 40000), -1.2)])
    posterior = Posterior(mean, log_variance)
    first, again = posterior.sample(seeded(4))[0], posterior.sample(seeded(4))[0]
    assert torch.equal(first, again)
    assert first.mean().item() == pytest.approx(1.5, abs=0.02)
    assert first.var().log().item() == pytest.approx(-1.2, abs=0.03)


def test_samples_carry_gradients_to_both_parameters():
    mean, log_variance = torch.zeros(2, 1, 3, requires_grad=True), torch.zeros(2, 1, 3, requires_grad=True)
    sample = Posterior(Planes([mean]), Planes([log_variance])).sample(seeded())[0]
    sample.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_variance.grad, 0.5 * sample.detach())
