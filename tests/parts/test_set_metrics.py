"""Distances between sets, against loops over their definitions and against cases whose answer is known."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import Estimate
from ddmi_core.parts import coverage, minimum_matching_distance, one_nearest_neighbour_accuracy


def points(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) + shift


def judged(a: torch.Tensor, b: torch.Tensor, failed: int = 0) -> Estimate:
    """1-NNA of two sets of points, where the first samples failed."""
    among, between = torch.cdist(a, a), torch.cdist(a, b)
    among[:failed] = among[:, :failed] = between[:failed] = float("inf")
    return one_nearest_neighbour_accuracy(among, between, torch.cdist(b, b))


def accuracy(a: torch.Tensor, b: torch.Tensor) -> float:
    return judged(a, b).value


def test_equal_to_loops_over_the_definitions():
    a, b = points(7, 0), points(7, 1)
    d = torch.cdist(a, b)
    assert minimum_matching_distance(d).value == pytest.approx(
        sum(min(d[i, j] for i in range(7)) for j in range(7)) / 7
    )
    hit = {min(range(7), key=lambda j: float(d[i, j])) for i in range(7)}
    assert coverage(d).value == pytest.approx(len(hit) / 7)
    right = 0
    everything = [*((p, 0) for p in a), *((p, 1) for p in b)]
    for i, (p, own) in enumerate(everything):
        others = [(float((p - q).norm()), mark) for j, (q, mark) in enumerate(everything) if j != i]
        right += min(others)[1] == own
    assert accuracy(a, b) == pytest.approx(right / 14)


def test_a_set_against_itself():
    a = points(20, 0)
    d = torch.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist")
    assert minimum_matching_distance(d).value == 0
    assert coverage(d).value == 1
    assert one_nearest_neighbour_accuracy(d, d, d).value == 0  # each copy's nearest is its original


def test_sets_that_are_apart_are_told_apart_and_alike_ones_are_not():
    assert accuracy(points(30, 0), points(30, 1, shift=20.0)) == 1
    assert accuracy(points(300, 0), points(300, 1)) == pytest.approx(0.5, abs=0.06)


def test_one_sample_again_and_again_covers_one_reference():
    a, b = points(1, 0).expand(10, 3), points(8, 1)
    assert coverage(torch.cdist(a, b)).value == 1 / 8


def covers(n: int, m: int, failed: int, width: int = 3) -> int:
    """How many of 100 draws of one distribution have 0.5 within the interval."""
    hit = 0
    for draw in range(100):
        whole = torch.randn(n + m, width, generator=torch.Generator().manual_seed(draw))
        found = judged(whole[:n], whole[n:], failed)
        hit += found.low <= 0.5 <= found.high
    return hit


@pytest.mark.parametrize(
    ("n", "m", "failed"), [(100, 100, 0), (100, 100, 30), (120, 60, 0)], ids=["halves", "some failed", "unequal"]
)
def test_one_distribution_has_an_accuracy_of_a_half_within_the_interval(n, m, failed):
    assert covers(n, m, failed) >= 88  # of 95 expected; fewer in 1 of 500 sets of draws


def test_references_in_few_groups_are_told_apart_although_all_come_from_one_distribution():
    """As where groups that look alike are held out together: the halves by group against halves at random."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(60, 3, generator=generator)
    whole = groups.repeat_interleave(5, 0) + 0.05 * torch.randn(300, 3, generator=generator)
    by_group = judged(whole[:150], whole[150:])
    assert by_group.low > 0.9
    chosen = torch.randperm(300, generator=generator)
    at_random = judged(whole[chosen[:150]], whole[chosen[150:]])
    assert at_random.low <= 0.5 <= at_random.high


def test_samples_that_failed_match_nothing():
    a, b = points(8, 0), points(8, 1)
    d = torch.cdist(a, b)
    d[2:] = float("inf")
    assert coverage(d).value == coverage(d[:2]).value
    assert minimum_matching_distance(d) == minimum_matching_distance(d[:2])
    with pytest.raises(ValueError, match="needs samples and references; got 0 and 8"):
        judged(a, b, failed=8)
