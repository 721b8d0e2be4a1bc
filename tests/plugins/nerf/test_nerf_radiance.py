"""The density that training sees: the same values, with a gradient where there is nothing."""

from __future__ import annotations

import torch

from ddmi_nerf.rendering.radiance import EMPTY, FLOOR, density, density_with_gradient_floor

RAW = torch.tensor([-40.0, -11.0, -9.0, -3.0, 0.0, 2.0, 6.0, 9.0])


def slopes(function, sign):
    raw = RAW.clone().requires_grad_()
    (sign * function(raw)).sum().backward()
    return sign * raw.grad


def test_values_are_those_of_the_density():
    assert torch.equal(density_with_gradient_floor(RAW), density(RAW))


def test_slopes_are_true_where_there_is_something():
    something = density(RAW) > FLOOR
    assert something.sum() == 4
    for sign in (1, -1):
        torch.testing.assert_close(
            slopes(density_with_gradient_floor, sign)[something], slopes(density, sign)[something]
        )


def test_what_is_empty_can_rise_and_is_not_pushed_down_without_end():
    nothing = density(RAW) < FLOOR
    # A loss that falls with the density has a negative gradient.
    assert torch.equal(slopes(density_with_gradient_floor, -1)[nothing], torch.full((4,), FLOOR))
    falling = slopes(density_with_gradient_floor, 1)
    assert torch.equal(falling[nothing & (RAW > EMPTY)], torch.full((2,), FLOOR))
    assert falling[RAW < EMPTY].max() < 1e-5


def test_an_empty_medium_becomes_a_dense_one():
    """Where a loss wants an opaque interval, descent finds it from nothing; by the true slope it does not."""

    def fitted(function):
        raw = torch.tensor([-18.0], requires_grad=True)
        optimiser = torch.optim.SGD([raw], lr=30.0)
        for _ in range(200):
            optimiser.zero_grad()
            torch.exp(-0.5 * function(raw)).sum().backward()
            optimiser.step()
        return torch.exp(-0.5 * density(raw.detach())).item()

    assert fitted(density_with_gradient_floor) < 0.1
    assert fitted(density) > 0.99
