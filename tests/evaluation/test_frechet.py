"""The Fréchet distance against closed forms, and nearest neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmi_core.evaluation.distances import frechet, nearest


def features(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(rows: torch.Tensor, mean: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    """Rows whose sample mean and covariance are exactly `mean` and `root root^T`."""
    centred = rows - rows.mean(0)
    whitened = centred @ torch.linalg.inv(torch.linalg.cholesky(centred.T @ centred / (len(rows) - 1))).T
    return whitened @ root.T + mean


sizes = st.tuples(st.integers(2, 30), st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))


@settings(deadline=None, max_examples=40)
@given(sizes)
def test_it_is_symmetric_and_not_negative(size):
    n, m, width, seed = size
    first, second = features(n, width, seed), 2 * features(m, width, seed + 1) + 1
    there, back = frechet(first, second), frechet(second, first)
    assert there == pytest.approx(back, rel=1e-6, abs=1e-8)
    assert there >= -1e-8


@settings(deadline=None, max_examples=40)
@given(sizes)
def test_equal_sets_are_at_distance_zero_in_any_order(size):
    n, _, width, seed = size
    rows = features(n, width, seed)
    assert frechet(rows, rows.flip(0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_shift_costs_its_squared_length(width):
    rows, shift = features(20, width), torch.linspace(1, 2, width, dtype=torch.float64)
    assert frechet(rows, rows + shift) == pytest.approx(shift.square().sum().item())


@pytest.mark.parametrize("width", [1, 2, 5])
def test_gaussians_with_parallel_axes_have_the_closed_form(width):
    """For diagonal covariances the distance is the sum of squared differences of means and deviations."""
    one, two = torch.linspace(1, 2, width, dtype=torch.float64), torch.linspace(3, 0.5, width, dtype=torch.float64)
    first = exactly(features(40, width), 0 * one, one.diag())
    second = exactly(features(50, width, 1), one, two.diag())
    assert frechet(first, second) == pytest.approx(((one - two).square() + one.square()).sum().item())


def test_gaussians_in_general_agree_with_the_matrix_square_root_of_scipy():
    roots = features(4, 4, 5), features(4, 4, 6)
    means = features(2, 4, 7)
    first, second = (exactly(features(30, 4, s), means[s], roots[s]) for s in (0, 1))
    covariances = [(root @ root.T).numpy() for root in roots]
    cross = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = (means[0] - means[1]).square().sum().item() + np.trace(sum(covariances) - 2 * cross)
    assert frechet(first, second) == pytest.approx(expected, rel=1e-8)


def test_it_does_not_depend_on_a_rotation_of_the_features():
    first, second = features(30, 4), 2 * features(20, 4, 1) + 0.3
    rotation, _ = torch.linalg.qr(features(4, 4, 2))
    assert frechet(first @ rotation, second @ rotation) == pytest.approx(frechet(first, second))


def test_fewer_rows_than_features_are_no_obstacle():
    assert frechet(features(3, 50), features(4, 50, 1)) > 0
    rows = features(3, 50).float()
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-6)


def test_constant_features_are_no_obstacle():
    assert frechet(torch.ones(5, 3), torch.ones(4, 3) * 3) == pytest.approx(12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5))
def test_the_nearest_item_is_that_of_least_distance(n, m, width):
    queries, items = features(n, width), features(m, width, 1)
    expected = [int(np.argmin(((items - query) ** 2).sum(1).numpy())) for query in queries]
    assert nearest(queries, items) == expected


def test_each_item_is_nearest_to_itself():
    rows = features(20, 3)
    assert nearest(rows, rows) == list(range(20))
