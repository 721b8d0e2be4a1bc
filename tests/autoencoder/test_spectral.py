"""The penalty on singular values against their decomposition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddmi_core.autoencoder.spectral import largest_singular_value, spectral_penalty
from ddmi_core.networks import ResidualBlock
from plane_layouts import perturbed


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 40), (40, 5), (64, 576), (128, 128)], ids=str)
def test_the_value_is_that_of_the_decomposition(shape):
    matrix = random(*shape)
    assert largest_singular_value(matrix).item() == pytest.approx(
        torch.linalg.svdvals(matrix)[0].item(), rel=5e-3, abs=1e-6
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_the_value_scales_with_the_matrix(scale):
    torch.testing.assert_close(
        largest_singular_value(scale * random(6, 9)), scale * largest_singular_value(random(6, 9))
    )


def test_equal_singular_values_are_found():
    assert largest_singular_value(3 * torch.eye(8)).item() == pytest.approx(3)
    assert largest_singular_value(torch.zeros(4, 7)) == 0


def test_the_gradient_is_the_outer_product_of_the_singular_vectors():
    matrix = (random(4, 7) + torch.outer(torch.ones(4), torch.ones(7))).requires_grad_()
    largest_singular_value(matrix).backward()
    left, _, right = torch.linalg.svd(matrix.detach())
    torch.testing.assert_close(matrix.grad, torch.outer(left[:, 0], right[0]), atol=1e-4, rtol=0)


def test_the_penalty_sums_convolutions_and_scales_of_normalisations_alone():
    network = perturbed(nn.Sequential(nn.Linear(3, 3), ResidualBlock(2, 8, 16), nn.GroupNorm(2, 16)))
    layers = list(network.modules())
    convolutions = [layer.weight.flatten(1) for layer in layers if isinstance(layer, nn.Conv2d)]
    norms = [layer.weight for layer in layers if isinstance(layer, nn.GroupNorm)]
    assert len(convolutions) >= 2
    assert len(norms) >= 2
    expected = sum(torch.linalg.matrix_norm(m, 2) for m in convolutions) + sum(w.abs().max() for w in norms)
    torch.testing.assert_close(spectral_penalty(network), expected, rtol=5e-3, atol=0)
    torch.testing.assert_close(spectral_penalty(network[1], network[2]), spectral_penalty(network))


def test_steps_with_the_penalty_alone_lower_the_singular_values():
    network = perturbed(nn.Sequential(ResidualBlock(2, 8, 16), ResidualBlock(2, 16, 8)))
    before = spectral_penalty(network).item()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(5):
        optimiser.zero_grad()
        spectral_penalty(network).backward()
        optimiser.step()
    assert spectral_penalty(network).item() < before
