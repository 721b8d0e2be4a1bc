"""Distances between sets, against loops over their definitions and against cases whose answer is known."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.parts import coverage, minimum_matching_distance, one_nearest_neighbour_accuracy


def points(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) + shift


def accuracy(a: torch.Tensor, b: torch.Tensor) -> float:
    return one_nearest_neighbour_accuracy(torch.cdist(a, a), torch.cdist(a, b), torch.cdist(b, b))


def test_equal_to_loops_over_the_definitions():
    a, b = points(7, 0), points(9, 1)
    d = torch.cdist(a, b)
    assert minimum_matching_distance(d) == pytest.approx(sum(min(d[i, j] for i in range(7)) for j in range(9)) / 9)
    hit = {min(range(9), key=lambda j: float(d[i, j])) for i in range(7)}
    assert coverage(d) == len(hit) / 9
    right = 0
    everything = [*((p, 0) for p in a), *((p, 1) for p in b)]
    for i, (p, own) in enumerate(everything):
        others = [(float((p - q).norm()), mark) for j, (q, mark) in enumerate(everything) if j != i]
        right += min(others)[1] == own
    assert accuracy(a, b) == pytest.approx(right / 16)


def test_a_set_against_itself():
    a = points(20, 0)
    d = torch.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist")
    assert minimum_matching_distance(d) == 0
    assert coverage(d) == 1
    assert one_nearest_neighbour_accuracy(d, d, d) == 0  # each copy's nearest is its original


def test_sets_that_are_apart_are_told_apart_and_alike_ones_are_not():
    assert accuracy(points(30, 0), points(30, 1, shift=20.0)) == 1
    assert accuracy(points(300, 0), points(300, 1)) == pytest.approx(0.5, abs=0.06)


def test_one_sample_again_and_again_covers_one_reference():
    a, b = points(1, 0).expand(10, 3), points(8, 1)
    assert coverage(torch.cdist(a, b)) == 1 / 8
