"""Interpolation: the cells across the border of periodic axes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ddmi_core.fields.interpolate import wrap_around


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
