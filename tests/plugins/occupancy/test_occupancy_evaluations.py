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

SIDES = [(0.9, y, z) for y in (0.15, 0.45, 0.8) for z in (0.2, 0.6)]
NAMES = [f"{kind}_{distance}" for distance in ("chamfer", "emd") for kind in ("mmd", "cov", "1nna")]


def box(sides, shift=0.0):
    """A box of half lengths as a mesh."""
    solid = trimesh.creation.box(2 * np.array(sides))
    moved = solid.vertices + np.array([0, shift, 0])
    return Mesh(moved.astype(np.float32), solid.faces.astype(np.int32), np.zeros_like(moved, dtype=np.float32))


def nothing():
    return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))


class Shows:
    """In place of a trained model: its samples are given meshes, which it renders as they are."""

    def __init__(self, meshes):
        self.meshes, self.renderer = meshes, SimpleNamespace(render=lambda mesh: mesh)

    def sample(self, n, *, seed=0, condition=None):
        return [self.meshes[i % len(self.meshes)] for i in range(n)]


@pytest.fixture(autouse=True)
def _few_points(monkeypatch):
    monkeypatch.setattr("ddmi_occupancy.evaluation.generation.EMD_POINTS", 128)


@pytest.fixture(scope="module")
def split():
    packing = Packing(surface=1500, points=64)
    rows = []
    for number, sides in enumerate(SIDES):
        points, normals = box(sides).sample_points(1500, torch.Generator().manual_seed(100 + number))
        rows.append(packing.row(points, normals, np.zeros((64, 3)), lambda p: np.ones(len(p), dtype=bool)))
    clouds = packing.clouds(np.stack(rows))
    whole = ShapeSet(clouds, point_weights(64), [f"box-{i}" for i in range(len(SIDES))], 1500)
    return Split(train=whole, held_out=whole)


def figures(meshes, split, count=100):
    return {figure.name: figure for figure in generation(Shows(meshes), split, count, seed=0)}


def values(meshes, split, count=100):
    return {name: figure.value for name, figure in figures(meshes, split, count).items()}


def test_copies_of_the_held_out_shapes_are_near_cover_all_and_are_told_as_copies(split):
    found = values([box(sides) for sides in SIDES], split)
    assert list(found) == NAMES
    assert found["mmd_chamfer"] < 0.05
    assert found["mmd_emd"] < 0.2  # that of two draws of 128 points
    assert (found["cov_chamfer"], found["cov_emd"]) == (1, 1)
    assert (found["1nna_chamfer"], found["1nna_emd"]) == (0, 0)


def test_one_shape_over_and_over_covers_one_and_is_told_from_the_others(split):
    found = values([box(SIDES[2])], split)
    assert found["cov_chamfer"] == pytest.approx(1 / len(SIDES))
    assert found["1nna_chamfer"] > 0.5
    assert found["mmd_chamfer"] > 0.1


def test_the_distance_of_shifted_shapes_grows_with_the_shift(split):
    near, far = (values([box(sides, shift) for sides in SIDES], split, 4) for shift in (0.05, 0.4))
    assert near["mmd_chamfer"] < far["mmd_chamfer"]
    assert far["mmd_emd"] > near["mmd_emd"] > 0.05  # points cannot come nearer than the shift, in the mean


def test_figures_say_how_they_were_obtained(split):
    found = figures([box(sides) for sides in SIDES], split, count=4)
    for name, figure in found.items():
        assert figure.protocol["samples"] == 4, name
        assert figure.protocol["empty samples"] == 0
        assert figure.protocol["reference"] == "4 held-out signals"
        assert {"seed", "points", "normalisation"} <= set(figure.protocol)
        assert figure.meaning
    assert found["mmd_chamfer"].protocol["points"] > found["mmd_emd"].protocol["points"]


def test_empty_samples_are_left_out_and_counted(split):
    meshes = [nothing(), *(box(sides) for sides in SIDES[1:])]
    found = figures(meshes, split)
    assert found["mmd_chamfer"].protocol["empty samples"] == 1
    assert found["cov_chamfer"].value == pytest.approx(1 - 1 / len(SIDES))
    assert generation(Shows([nothing()]), split, 6, seed=0) == []


def test_figures_repeat(split):
    meshes = [box(sides) for sides in SIDES]
    assert values(meshes, split, 3) == values(meshes, split, 3)
