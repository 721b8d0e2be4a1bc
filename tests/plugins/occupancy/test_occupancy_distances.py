"""Distances of clouds against closed forms and against an independent computation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from ddmi_occupancy.evaluation.metrics import overlap
from ddmi_occupancy.geometry.distances import (
    chamfer_matrix,
    cloud_distances,
    compared_chamfer_matrix,
    earth_movers,
    earth_movers_matrix,
    in_unit_sphere,
)


def sphere(n: int, radius: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points on a sphere, and their normals."""
    normals = np.random.default_rng(seed).standard_normal((n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return radius * normals, normals


def test_spheres_of_two_radii_are_their_difference_apart():
    (a, normals_a), (b, normals_b) = sphere(20_000, 1.0, 0), sphere(20_000, 0.9, 1)
    found = cloud_distances(a, normals_a, b, normals_b, threshold=0.05)
    assert found.chamfer == pytest.approx(0.1, rel=0.01)
    assert found.f_score == 0
    assert found.normal_consistency > 0.999
    assert cloud_distances(a, normals_a, b, normals_b, threshold=0.15).f_score == 1


def test_a_plane_shifted_along_itself_is_near_and_across_is_apart():
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 101), np.linspace(-1, 1, 101)), axis=-1).reshape(-1, 2)
    plane = np.c_[grid, np.zeros(len(grid))]
    up = np.tile([0.0, 0.0, 1.0], (len(grid), 1))
    across = cloud_distances(plane, up, plane + np.array([0, 0, 0.3]), up, threshold=0.1)
    assert across.chamfer == pytest.approx(0.3)
    along = cloud_distances(plane, up, plane + np.array([0.02, 0, 0]), up, threshold=0.1)
    assert along.chamfer < 0.001
    assert along.f_score == 1


def test_normals_that_turn_by_an_angle_show_its_cosine():
    a, normals = sphere(2000)
    axis = np.cross(normals, np.roll(normals, 1, axis=0))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    turned = normals * np.cos(0.5) + np.cross(axis, normals) * np.sin(0.5)
    assert cloud_distances(a, normals, a, turned, 0.1).normal_consistency == pytest.approx(np.cos(0.5), abs=1e-6)


@pytest.mark.parametrize("n", [500, 2000, 8000])
def test_the_f_score_of_two_samples_of_one_surface_does_not_depend_on_their_number(n):
    (a, normals_a), (b, normals_b) = sphere(n, seed=0), sphere(4000, seed=1)
    assert cloud_distances(a, normals_a, b, normals_b, threshold=0.018).f_score > 0.97


def test_the_f_score_sees_parts_that_are_missing():
    a, normals = sphere(4000)
    half = a[:, 2] > 0
    found = cloud_distances(a[half], normals[half], a, normals, threshold=0.018)
    assert found.f_score == pytest.approx(2 / 3, abs=0.05)  # all of the half is right, half of the whole is found


def test_equal_to_loops_over_the_definitions():
    a, b = (np.random.default_rng(seed).standard_normal((n, 3)) for seed, n in ((0, 7), (1, 9)))
    distance = np.array([[np.sqrt(((p - q) ** 2).sum()) for q in b] for p in a])
    chamfer = (distance.min(axis=1).mean() + distance.min(axis=0).mean()) / 2
    unit = np.ones((9, 3)) / np.sqrt(3)
    assert cloud_distances(a, unit[:7], b, unit, 0.5).chamfer == pytest.approx(chamfer)


@pytest.mark.parametrize("way", [chamfer_matrix, compared_chamfer_matrix])
def test_the_squared_chamfer_distance_is_the_double_loop(way, monkeypatch):
    monkeypatch.setattr("ddmi_occupancy.geometry.distances.PAIRS", 150)  # two clouds at once
    first, second = (
        [np.random.default_rng((seed, i)).standard_normal((n, 3)).astype(np.float32) for i in range(count)]
        for seed, n, count in ((0, 8, 4), (1, 9, 5))
    )
    found = way(first, second, "cpu")
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            squared = np.array([[((p - q) ** 2).sum() for q in b] for p in a])
            expected = squared.min(axis=1).mean() + squared.min(axis=0).mean()
            assert found[i, j] == pytest.approx(expected, rel=1e-5)
    among = way(first, first, "cpu")
    assert among.numpy() == pytest.approx(way(first, list(first), "cpu").numpy(), rel=1e-5, abs=1e-12)


def test_the_earth_movers_distance_is_the_least_of_all_assignments():
    first, second = (np.random.default_rng(seed).standard_normal((2, 5, 3)) for seed in range(2))
    found = earth_movers_matrix(list(first), list(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            orders = permutations(range(5))
            least = min(np.mean([np.linalg.norm(a[k] - b[order[k]]) for k in range(5)]) for order in orders)
            assert found[i, j] == pytest.approx(least)


def test_clouds_in_the_unit_sphere_have_a_centred_box_and_radius_one():
    cloud = 3 * np.random.default_rng(0).standard_normal((50, 3)) + 7
    placed = in_unit_sphere(cloud)
    assert placed.max(axis=0) + placed.min(axis=0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.linalg.norm(placed, axis=1).max() == pytest.approx(1)
    assert in_unit_sphere(0.2 * cloud - 1) == pytest.approx(placed, abs=1e-6)
    assert in_unit_sphere(np.ones((4, 3))).tolist() == np.zeros((4, 3)).tolist()


def test_the_earth_movers_distance_of_a_shift_is_the_shift():
    a, _ = sphere(60)
    assert earth_movers(a, a[::-1] + np.array([0.2, 0, 0])) == pytest.approx(0.2)
    assert earth_movers(a, a[::-1]) == 0


def test_the_overlap_of_shifted_boxes_has_its_closed_form_at_any_density_of_points():
    """Boxes of width 1, shifted by 0.25: intersection 0.75, union 1.25."""
    generator = torch.Generator().manual_seed(0)
    uniform = 3 * torch.rand(1, 40_000, generator=generator) - 1.5
    dense = 0.3 * torch.rand(1, 40_000, generator=generator) - 0.5  # many points where both are
    points = torch.cat([uniform, dense], dim=1)
    density = 1 / 3 + ((points > -0.5) & (points < -0.2)) / 0.3
    first, second = points.abs() < 0.5, (points - 0.25).abs() < 0.5
    assert overlap(first, second, 1 / density).item() == pytest.approx(0.6, abs=0.01)
    assert overlap(first, second, torch.ones(1)).item() != pytest.approx(0.6, abs=0.05)
    nothing = torch.zeros_like(first)
    assert overlap(nothing, nothing, torch.ones(1)).item() == 1
    assert overlap(first, nothing, torch.ones(1)).item() == 0
