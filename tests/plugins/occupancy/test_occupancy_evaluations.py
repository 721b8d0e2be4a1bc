"""Distances between sets of shapes, for samples that copy the held-out shapes, miss them, or are empty."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

from ddmi_core.api import Split
from ddmi_core.parts import Mesh
from ddmi_occupancy.data.sampling import Packing, point_weights
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.evaluation.generation import generation
from ddmi_occupancy.settings import OccupancySettings

SIDES = [(0.9, y, z) for y in (0.15, 0.45, 0.8) for z in (0.2, 0.6)]
SETS = [f"{kind}_{distance}" for distance in ("chamfer", "emd") for kind in ("mmd", "cov", "1nna")]
NAMES = ["empty_samples", *SETS[:3], *(f"{name}_of_real" for name in SETS[:3])]
NAMES += [*SETS[3:], *(f"{name}_of_real" for name in SETS[3:])]


def box(sides, shift=0.0, scale=1.0):
    """A box of half lengths as a mesh."""
    solid = trimesh.creation.box(2 * np.array(sides))
    moved = scale * solid.vertices + np.array([0, shift, 0])
    return Mesh(moved.astype(np.float32), solid.faces.astype(np.int32), np.zeros_like(moved, dtype=np.float32))


def nothing():
    return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))


class Fields(list):
    """Fields that are meshes."""

    device = torch.device("cpu")


class Shows:
    """In place of a trained model: its samples are given meshes, which it renders as they are."""

    def __init__(self, meshes, **settings):
        self.meshes, self.renderer = meshes, SimpleNamespace(render=lambda mesh: mesh)
        self.settings = OccupancySettings(**{"surface": 1500, "emd_points": 128, **settings})

    def sample_parts(self, n, *, seed=0, condition=None):
        for start in range(0, n, 4):
            yield Fields(self.meshes[i % len(self.meshes)] for i in range(start, min(n, start + 4)))


def shapes(sides, first, points=1500):
    """Boxes as a set of shapes, with points of their own."""
    packing, rows = Packing(surface=points, points=64), []
    for number, one in enumerate(sides):
        places, normals = box(one).sample_points(points, torch.Generator().manual_seed(first + number))
        rows.append(packing.row(places, normals, np.zeros((64, 3)), lambda p: np.ones(len(p), dtype=bool)))
    return ShapeSet(packing.clouds(np.stack(rows)), point_weights(64), [f"box-{i}" for i in range(len(rows))], points)


@pytest.fixture(scope="module")
def split():
    return Split(train=shapes(SIDES, 200), held_out=shapes(SIDES, 100))


def figures(meshes, split, count=100):
    return {figure.name: figure for figure in generation(Shows(meshes), split, count, seed=0)}


def values(meshes, split, count=100):
    return {name: figure.value for name, figure in figures(meshes, split, count).items()}


def test_copies_of_the_held_out_shapes_are_near_cover_all_and_are_told_as_copies(split):
    found = values([box(sides) for sides in SIDES], split)
    assert list(found) == NAMES
    assert found["mmd_chamfer"] < 0.01
    assert found["mmd_chamfer"] == pytest.approx(found["mmd_chamfer_of_real"], rel=0.2)
    assert found["mmd_emd"] < 0.2  # that of two draws of 128 points
    assert (found["cov_chamfer"], found["cov_emd"]) == (1, 1)
    assert (found["1nna_chamfer"], found["1nna_emd"]) == (0, 0)


def test_one_shape_over_and_over_covers_one_and_is_told_from_the_others(split):
    found = values([box(SIDES[2])], split)
    assert found["cov_chamfer"] == pytest.approx(1 / len(SIDES))
    assert found["1nna_chamfer"] > 0.5
    assert found["mmd_chamfer"] > 10 * found["mmd_chamfer_of_real"]


def test_place_and_scale_of_samples_make_no_difference(split):
    same, moved = (
        values([box(sides, shift, scale) for sides in SIDES], split) for shift, scale in ((0, 1), (0.4, 0.3))
    )
    assert moved == pytest.approx(same, rel=1e-3)


def test_counts_follow_the_settings(split):
    meshes = [box(sides) for sides in SIDES]
    model = Shows(meshes, set_shapes=4, set_points=700)
    found = {figure.name: figure for figure in generation(model, split, 100, seed=0)}
    protocol = found["mmd_chamfer"].protocol
    assert (protocol["n"], protocol["reference"], protocol["points"]) == (4, "4 held-out signals", 700)
    model = Shows(meshes, set_points=4000, surface=1200)  # more than are stored
    found = {figure.name: figure for figure in generation(model, split, 5, seed=0)}
    assert (found["cov_emd"].protocol["n"], found["mmd_chamfer"].protocol["points"]) == (5, 1200)


def test_earth_movers_distances_take_held_out_shapes_from_all_of_the_set(split):
    """Of shapes in the order of their class, the first ones would be of one class."""
    model = Shows([box(SIDES[0]), box(SIDES[-1])], emd_shapes=2, emd_points=300)
    found = {figure.name: figure for figure in generation(model, split, 6, seed=0)}
    assert (found["mmd_emd"].protocol["n"], found["mmd_emd"].protocol["points"]) == (2, 300)
    assert found["cov_emd"].value == 1
    assert found["mmd_emd"].value < 0.2


def test_figures_say_how_they_were_obtained(split):
    found = figures([box(sides) for sides in SIDES], split, count=4)
    for name, figure in found.items():
        assert figure.protocol["n"] == 4
        assert ("signals" in figure.protocol) == name.endswith("_of_real"), name
        assert figure.protocol["empty samples"] == 0
        assert figure.protocol["reference"] == "4 held-out signals"
        assert {"seed", "points", "normalisation", "empty"} <= set(figure.protocol)
        assert figure.meaning
        assert figure.interval[0] <= figure.value <= figure.interval[1]
    assert "squared" in found["mmd_chamfer"].protocol["distance"]
    assert found["mmd_chamfer"].protocol["points"] > found["mmd_emd"].protocol["points"]


def test_empty_samples_are_failures_that_match_nothing(split):
    meshes = [nothing(), *(box(sides) for sides in SIDES[1:])]
    found = figures(meshes, split)
    assert found["mmd_chamfer"].protocol["empty samples"] == 1
    assert found["empty_samples"].value == pytest.approx(1 / len(SIDES))
    assert found["cov_chamfer"].value == pytest.approx(1 - 1 / len(SIDES))
    assert found["1nna_chamfer"].value == pytest.approx(0, abs=0.2)  # copies of those that are there
    found = figures([nothing()], split)
    assert found["empty_samples"].value == 1
    assert [name for name in found if name in SETS] == []


def test_empty_samples_leave_the_accuracy_of_equal_sets_at_a_half():
    """Samples and references are draws of one distribution; every third sample is empty."""
    draw = np.random.default_rng(0)
    sides = draw.uniform(0.1, 0.9, (80, 3))
    held = shapes(sides[:40], 0, 200)
    meshes = [box(one) if i % 3 else nothing() for i, one in enumerate(sides[40:])]
    model = Shows(meshes, set_points=200, surface=200, emd_shapes=4)
    found = {figure.name: figure for figure in generation(model, Split(train=held, held_out=held), 40, seed=0)}
    low, high = found["1nna_chamfer"].interval
    assert low <= 0.5 <= high
    assert high - low < 0.5
    assert found["empty_samples"].value == 14 / 40


def test_figures_repeat(split):
    meshes = [box(sides) for sides in SIDES]
    assert values(meshes, split, 3) == values(meshes, split, 3)
