"""The renderer: logits that can be differentiated, meshes of the sizes that are asked for, and originals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddmi_core.api import Field, Planes, Queries
from ddmi_core.errors import RequestError
from ddmi_core.parts import CoarseToFineReadout, Mesh, PointCloud, ReadoutConfig
from ddmi_occupancy.parts import OccupancyParts
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.rendering import OccupancyRenderer, report_views
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.signal import ShapeSignal


@pytest.fixture(scope="module")
def field():
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    basis = (Planes(torch.randn(2, 8, 6, 6, generator=generator) for _ in range(3)),)
    return Field(basis, CoarseToFineReadout((8,), 0, 1, ReadoutConfig(width=16)), OCCUPANCY.layout)


@pytest.fixture
def rendering():
    return OccupancyParts(OCCUPANCY, OccupancySettings(resolution=16)).renderer


def test_observing_is_plain_evaluation_and_differentiable(field, rendering):
    coords = torch.rand(2, 7, 3) * 2 - 1
    queries = Queries(coords, torch.zeros(2, 7, 0), torch.zeros(2, 7, 1))
    own = field.map(lambda plane: plane.clone().requires_grad_())
    values = rendering.observe(own, queries)
    assert torch.equal(values, own(coords))
    values.sum().backward()
    assert all(plane.grad.abs().sum() > 0 for plane in own.basis[0])


def test_a_render_is_a_mesh_on_the_level_set_that_repeats(field, rendering):
    mesh = rendering.render(field[0])
    assert isinstance(mesh, Mesh)
    again = rendering.render(field[0], (16, 16, 16))
    for name in ("vertices", "faces", "normals"):
        assert np.array_equal(getattr(mesh, name), getattr(again, name))
    inner = np.abs(mesh.vertices).max(axis=1) < 1 - 1 / 16
    logits = field[0](torch.from_numpy(mesh.vertices[inner])[None])
    assert logits.abs().mean() < 0.02


def test_sizes_are_one_number_or_three(field, rendering):
    small, large = (len(rendering.render(field[0], size).faces) for size in (8, 32))
    assert large > 8 * small
    assert len(rendering.render(field[0], (8,)).faces) == small
    assert len(rendering.render(field[0], [8, 16, 32]).faces) > small


@pytest.mark.parametrize("size", [3, 1025, (8, 8), (8, 8, 8, 8), "64", 8.0, True, (8, 0, 8)])
def test_other_sizes_are_refused(field, rendering, size):
    with pytest.raises(RequestError, match="size"):
        rendering.render(field[0], size)


def test_batches_and_impossible_native_sizes_are_refused(field, rendering):
    with pytest.raises(ValueError, match=r"field\[i\]"):
        rendering.render(field)
    with pytest.raises(RequestError, match="out of range"):
        OccupancyRenderer((2, 2, 2))


def test_fields_that_are_not_finite_are_refused(field, rendering):
    with pytest.raises(RequestError, match="finite"):
        rendering.render(field[0].map(lambda plane: plane * float("nan")))


@pytest.mark.parametrize(
    ("resolution", "largest"), [(8, 32), (32, 128), (64, 256), (128, 256), (1024, 256)], ids=lambda value: str(value)
)
def test_four_views_double_up_to_256_cells(resolution, largest):
    found = report_views(OccupancySettings(resolution=resolution))
    assert [size for _, size in found] == [largest // 8, largest // 4, largest // 2, largest]
    assert found[-1][0] == f"{largest} cells"


def test_an_original_is_the_points_of_one_signal():
    directions = torch.nn.functional.normalize(torch.randn(2, 50, 3), dim=-1)
    signal = ShapeSignal(0.5 * directions, directions, torch.zeros(2, 4, 3), torch.zeros(2, 4), torch.ones(2, 4))
    cloud = OccupancyParts(OCCUPANCY, OccupancySettings()).ground_truth(signal, 1)
    assert isinstance(cloud, PointCloud)
    assert np.array_equal(cloud.points, signal.surface[1].numpy())
    assert np.array_equal(cloud.normals, signal.normals[1].numpy())


def test_discs_lie_across_the_normals_and_cover_the_surface():
    directions = torch.nn.functional.normalize(torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    discs = PointCloud((0.7 * directions).numpy(), directions.numpy()).discs()
    corners = discs.vertices[discs.faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owners = discs.faces[:, 0] // 6
    cosines = (across * directions.numpy()[owners]).sum(axis=1) / np.linalg.norm(across, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    assert 4 * np.pi * 0.7**2 < discs.area < 5 * 4 * np.pi * 0.7**2
