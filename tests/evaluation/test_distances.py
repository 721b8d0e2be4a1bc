"""Distances between sets of features, against torchmetrics, loops over the definitions, and repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ddmi_core.evaluation.distances import (
    Estimate,
    Moments,
    copying,
    density_coverage,
    frechet,
    kid,
    kid_difference,
    precision_recall,
)

DRAWS = 100
LEAST = int(binom.ppf(0.001, DRAWS, 0.95))  # intervals of 95 % that hold the truth, in all but 1 of 1,000 runs


def rows(n: int, width: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features with a heavy tail."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(width)) / width**0.5
    tail = torch.randn(n, 1, generator=generator).exp()
    return scale * (torch.randn(n, width, generator=generator) @ mixing) * tail**0.3 + shift


class Same(torch.nn.Module):
    """In place of a network: the features are the input."""

    def __init__(self, width):
        super().__init__()
        self.num_features = width

    def forward(self, values):
        return values


@pytest.mark.parametrize(("n", "m", "width"), [(300, 300, 20), (500, 200, 40)])
def test_the_frechet_distance_is_that_of_torchmetrics(n, m, width):
    image = pytest.importorskip("torchmetrics.image.fid")
    a, b = rows(n, width, 0), rows(m, width, 1, 1.3, 0.2)
    oracle = image.FrechetInceptionDistance(feature=Same(width), normalize=True)
    oracle.set_dtype(torch.float64)
    oracle.update(a, real=False)
    oracle.update(b, real=True)
    assert frechet(a, b) == pytest.approx(float(oracle.compute()), rel=1e-3)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")  # that it keeps the features
@pytest.mark.parametrize(("n", "width"), [(60, 20), (500, 30)])
def test_kid_is_that_of_torchmetrics(n, width):
    image = pytest.importorskip("torchmetrics.image.kid")
    a, b = rows(n, width, 0), rows(n, width, 1, 1.3, 0.2)
    oracle = image.KernelInceptionDistance(feature=Same(width), normalize=True, subsets=1, subset_size=n)
    oracle.update(a.double(), real=False)
    oracle.update(b.double(), real=True)
    assert kid(a, b).value == pytest.approx(float(oracle.compute()[0]), rel=1e-3)


def test_kid_is_the_double_loop():
    a, b = rows(9, 5, 0).double(), rows(7, 5, 1).double() + 0.5

    def kernel(x, y):
        return float((x @ y / 5 + 1) ** 3)

    own = np.mean([kernel(a[i], a[j]) for i in range(9) for j in range(9) if i != j])
    other = np.mean([kernel(b[i], b[j]) for i in range(7) for j in range(7) if i != j])
    cross = np.mean([kernel(x, y) for x in a for y in b])
    assert kid(a, b).value == pytest.approx(own + other - 2 * cross, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (60, 240)])
def test_kid_of_two_parts_of_one_set_covers_zero_in_95_of_100_draws(n, m):
    hit = 0
    for draw in range(DRAWS):
        whole = rows(n + m, 30, 1000 + draw)
        low, high = kid(whole[:n], whole[n:]).interval
        hit += low <= 0 <= high
    assert hit >= LEAST


def test_the_standard_error_of_kid_is_the_spread_of_draws_where_distributions_differ():
    found = [kid(rows(150, 10, 2 * draw, 1.2), rows(100, 10, 2 * draw + 1)) for draw in range(DRAWS)]
    spread = np.std([one.value for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.3)


def test_large_sets_are_compared_in_subsets_with_the_same_expectation(monkeypatch):
    a, b = rows(900, 8, 0, 1.2), rows(800, 8, 1)
    whole = kid(a, b)
    monkeypatch.setattr("ddmi_core.evaluation.distances.SUBSET", 100)
    parts = [kid(a, b, seed) for seed in range(20)]
    found = np.array([one.value for one in parts])
    assert found.mean() == pytest.approx(whole.value, abs=4 * found.std() / 20**0.5)
    assert found.std() > 0
    assert kid(a, b, 3) == kid(a, b, 3)


@pytest.mark.parametrize(("n", "width"), [(200, 12), (20, 50)])
def test_streamed_moments_give_the_distance_of_rows(n, width):
    sets, streamed = [], []
    for seed in range(2):
        sets.append(rows(n, width, seed, 1 + seed, 100.0))
        moments = Moments()
        for part in sets[-1].split(7):
            moments.add(part)
        streamed.append(moments)
    assert streamed[0].n == n
    torch.testing.assert_close(streamed[0].mean, sets[0].double().mean(0))
    torch.testing.assert_close(streamed[0].covariance, sets[0].double().T.cov(), rtol=1e-9, atol=1e-12)
    expected = frechet(*sets)
    assert frechet(*streamed) == pytest.approx(expected, rel=1e-6)
    assert frechet(streamed[0], sets[1]) == pytest.approx(expected, rel=1e-6)
    assert frechet(streamed[0], streamed[0]) == pytest.approx(0, abs=1e-6)


def test_moments_of_processes_merge_to_those_of_the_whole():
    whole, parts = Moments(), [Moments() for _ in range(3)]
    for number, part in enumerate(rows(90, 6, 0).split(10)):
        whole.add(part)
        parts[number % 2].add(part)
    merged = Moments()
    for part in parts:  # the last one is empty
        merged.merge(part)
    assert merged.n == whole.n
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.scatter, whole.scatter)


def in_balls(points, centres, k):
    """By loops: `(n, m)`, whether each point is in the ball of each centre."""
    radii = []
    for i, centre in enumerate(centres):
        others = sorted(float((centre - other).norm()) for j, other in enumerate(centres) if j != i)
        radii.append(others[k - 1])
    return np.array([[float((p - c).norm()) <= r for c, r in zip(centres, radii, strict=True)] for p in points])


@pytest.mark.parametrize("entries", [2**19, 50])
def test_precision_recall_density_and_coverage_are_the_loops_in_blocks_of_any_size(entries, monkeypatch):
    monkeypatch.setattr("ddmi_core.evaluation.distances.ENTRIES", entries)
    a, b = rows(25, 3, 0).double(), rows(31, 3, 1).double() + 0.7
    precision, recall = precision_recall(a, b)
    assert precision.value == in_balls(a, b, 3).any(axis=1).mean()
    assert recall.value == in_balls(b, a, 3).any(axis=1).mean()
    density, coverage = density_coverage(a, b)
    inside = in_balls(a, b, 5)
    assert density.value == pytest.approx(inside.sum() / (5 * 25))
    assert coverage.value == inside.any(axis=0).mean()
    assert 0 < precision.value < 1
    assert 0 < recall.value < 1


def test_equal_distributions_have_density_one_and_few_modes_have_low_recall():
    a, b = rows(800, 4, 0), rows(800, 4, 1)
    density, coverage = density_coverage(a, b)
    assert density.low < 1 < density.high
    assert coverage.value > 0.9
    narrow = rows(800, 4, 2, 0.2)
    precision, recall = precision_recall(narrow, b)
    assert precision.value > 0.95
    assert recall.value < 0.5


def test_the_copy_ratio_is_one_for_new_signals_zero_for_copies_and_lower_for_near_ones():
    training, held, new = rows(400, 5, 0), rows(300, 5, 1), rows(300, 5, 2)
    found = copying(new, training, held)
    assert found.low < 1 < found.high
    assert copying(training[:200], training, held).value == pytest.approx(0, abs=1e-6)
    near = copying(training[:200] + 0.01, training, held)
    assert near.high < 0.5
    assert copying(new, training, held) == found
    nearest, reference = (
        [min(float((x - y).norm()) for y in training[:50]) for x in some[:31]] for some in (new, held)
    )
    few = copying(new[:31], training[:50], held[:31])
    assert few.value == pytest.approx(np.median(nearest) / np.median(reference), rel=1e-4)
    assert np.isnan(copying(new, training, training[:100]).value)


def test_the_interval_of_the_copy_ratio_covers_that_of_new_signals():
    training = rows(200, 5, 0)
    hit = 0
    for draw in range(DRAWS):
        low, high = copying(rows(100, 5, 2 * draw + 1), training, rows(100, 5, 2 * draw + 2)).interval
        hit += low <= 1 <= high
    assert hit >= LEAST


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.97])
def test_intervals_of_shares_cover_the_true_share(truth):
    draws = binom.rvs(120, truth, size=400, random_state=0)
    found = [Estimate.share(draw / 120, 120) for draw in draws]
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.92


def test_the_difference_of_paired_kernel_distances_is_their_difference():
    a, b, real = rows(60, 8, 0), rows(60, 8, 1, 1.2), rows(80, 8, 2)
    found = kid_difference(a, b, real)
    assert found.value == pytest.approx(kid(a, real).value - kid(b, real).value, rel=1e-9)
    assert kid_difference(b, a, real).value == pytest.approx(-found.value)
    assert kid_difference(a, a.clone(), real).interval == (0.0, 0.0)


def test_the_interval_of_a_paired_difference_covers_it_and_is_narrower_than_without_pairs():
    real, hits, ratios = rows(200, 6, 1000), 0, []
    for seed in range(DRAWS):
        common = rows(64, 6, seed)
        a, b = common + 0.1 * rows(64, 6, seed + 200), common + 0.1 * rows(64, 6, seed + 400)  # equal distributions
        found = kid_difference(a, b, real)
        hits += found.low <= 0 <= found.high
        ratios.append(found.error / kid(a, real).error)
    assert hits >= LEAST
    assert np.median(ratios) < 0.5


def test_pictures_of_one_sample_count_as_one_in_the_interval_of_a_difference():
    a, b, real = rows(40, 6, 0, 0.2, 0.3), rows(40, 6, 1, 0.2), rows(80, 6, 2, 0.2)
    one = kid_difference(a, b, real)
    three = kid_difference(a.repeat_interleave(3, 0), b.repeat_interleave(3, 0), real, each=3)
    assert three.error == pytest.approx(one.error, rel=0.2)
    assert kid_difference(a.repeat_interleave(3, 0), b.repeat_interleave(3, 0), real).error < 0.7 * three.error
