"""Interpolation: the cells across the border of periodic axes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ddmi_core.fields.interpolate import axis_taps, wrap_around


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((2, 3, 5), (1,)),
        ((2, 3, 1), (1,)),
        ((2, 3, 4, 6), (0, 2)),
        ((2, 3, 4, 6), (1, 3)),
        ((2, 3, 2, 2, 2), (2, 0, 1)),
        ((2, 3, 4, 4, 4), (1, 1, 1)),
    ],
)
def test_values_and_gradients_equal_those_of_circular_padding(shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    found, expected = (torch.randn(shape, generator=generator.manual_seed(1)).requires_grad_() for _ in range(2))
    ours = wrap_around(found, sizes)
    theirs = F.pad(expected, [size for size in reversed(sizes) for _ in range(2)], mode="circular")
    weights = torch.randn(theirs.shape, generator=generator)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert torch.equal(ours, theirs)
    assert found.grad is not None
    assert expected.grad is not None
    assert torch.equal(found.grad, expected.grad)


def test_no_size_changes_nothing() -> None:
    grid = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert wrap_around(grid, (0, 0)) is grid


HOSTILE = (-1.0, 1.0, 0.99999994, -0.99999994, 1.0000001, 3.0, -3.0, 1e30, float("inf"), -float("inf"), float("nan"))


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("size", [1, 2, 7, 48])
def test_any_coordinate_has_cells_of_the_axis(size, wraps):
    coords = torch.tensor(HOSTILE)
    taps = axis_taps(coords, size, wraps)
    for side in (taps.low, taps.high):
        assert 0 <= int(side.min()) <= int(side.max()) < size
    near = coords.abs() < 4
    assert bool(((taps.weight >= 0) & (taps.weight <= 1))[near].all())
    assert taps.weight.isnan().tolist() == (coords.isnan() | (coords.isinf() & wraps)).tolist()
