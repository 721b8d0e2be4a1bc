"""Simplified meshes: the wanted number of triangles, closed, near the surface; and the error without the package."""

import sys

import numpy as np
import pytest
import torch
import trimesh

from ddmi_core.errors import RequestError
from ddmi_core.parts import Mesh, PointCloud, extract_surface, mesh_simplifier


@pytest.fixture(scope="module")
def torus():
    def distance(points):
        ring = points[:, [0, 2]].norm(dim=1) - 0.6
        return 0.2 - (ring**2 + points[:, 1] ** 2).sqrt()

    return extract_surface(distance, (32, 32, 32))


@pytest.mark.parametrize(("faces", "least"), [(1500, 0.99), (300, 0.95), (100, 0.85)])
def test_a_closed_mesh_has_the_wanted_triangles_and_stays_closed(torus, faces, least):
    pytest.importorskip("fast_simplification")
    found = mesh_simplifier(faces)(torus)
    assert 0.9 * faces <= len(found.faces) <= faces
    solid = trimesh.Trimesh(found.vertices, found.faces, process=False)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.euler_number == 0  # a hole, as before
    assert least < found.volume / torus.volume < 1 / least
    assert np.unique(found.faces).tolist() == list(range(len(found.vertices)))
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1, atol=1e-5)
    assert (found.vertices.dtype, found.faces.dtype) == (np.float32, np.int32)


def test_small_meshes_empty_ones_and_points_are_unchanged(torus):
    pytest.importorskip("fast_simplification")
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    cloud = PointCloud(*torus.sample_points(100, torch.Generator().manual_seed(0)))
    for artefact in (torus, empty, cloud):
        assert mesh_simplifier(len(torus.faces))(artefact) is artefact


def test_the_missing_package_and_too_few_triangles_are_told(monkeypatch):
    with pytest.raises(RequestError, match=r"3 triangles are too few .* ask for 4 or more"):
        mesh_simplifier(3)
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(
        RequestError, match=r"requires the package fast-simplification. Fix: pip install 'ddmi\[simplify\]'"
    ):
        mesh_simplifier(100)
