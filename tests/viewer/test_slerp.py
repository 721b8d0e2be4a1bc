"""The arc between two vectors: closed forms on circles and spheres."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddmi_core.viewer.session import spherical


def vectors(seed: int, length: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, generator=generator), 3 * torch.randn(length, generator=generator)


@given(st.floats(0, 1))
def test_a_quarter_turn_is_that_of_the_circle(mix):
    found = spherical(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), mix)
    angle = mix * math.pi / 2
    torch.testing.assert_close(found, torch.tensor([2 * math.cos(angle), 2 * math.sin(angle)]), atol=1e-5, rtol=0)


@given(st.integers(0, 20), st.floats(0, 1))
def test_lengths_go_evenly_from_one_to_the_other(seed, mix):
    first, second = vectors(seed)
    expected = (1 - mix) * first.norm() + mix * second.norm()
    torch.testing.assert_close(spherical(first, second, mix).norm(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_ends_are_the_vectors_and_turning_round_is_the_same_way(seed):
    first, second = vectors(seed)
    torch.testing.assert_close(spherical(first, second, 0.0), first)
    torch.testing.assert_close(spherical(first, second, 1.0), second)
    torch.testing.assert_close(spherical(first, second, 0.3), spherical(second, first, 0.7))


@pytest.mark.parametrize(
    ("first", "second"), [((1.0, 1.0), (3.0, 3.0)), ((1.0, 0.0), (-1.0, 0.0)), ((0.0, 0.0), (1.0, 2.0))]
)
def test_without_an_arc_the_way_is_straight(first, second):
    first, second = torch.tensor(first), torch.tensor(second)
    torch.testing.assert_close(spherical(first, second, 0.25), 0.75 * first + 0.25 * second)
