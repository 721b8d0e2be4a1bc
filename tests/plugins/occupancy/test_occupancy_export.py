"""Export: other readers see the artefact, with its normals; files repeat; no surface is a valid file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from ddmi_core.api import Observations
from ddmi_core.parts import Mesh, PointCloud, extract_surface
from ddmi_core.sources.account import accounting
from ddmi_occupancy import export
from ddmi_occupancy.data.folder import read as shape_of
from ddmi_occupancy.export import write
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.settings import OccupancySettings

KINDS = (".glb", ".ply", ".stl", ".obj")


@pytest.fixture(scope="module")
def mesh():
    return extract_surface(lambda p: 0.6 - (p * torch.tensor([1.0, 0.8, 1.3])).norm(dim=1), (20, 20, 20))


@pytest.fixture(scope="module")
def cloud(mesh):
    return PointCloud(*mesh.sample_points(100, torch.Generator().manual_seed(0)))


@pytest.fixture
def nothing():
    return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))


def read(path):
    """The only geometry in a file."""
    found = trimesh.load(path, process=False)
    return next(iter(found.geometry.values())) if isinstance(found, trimesh.Scene) else found


@pytest.mark.parametrize("kind", KINDS)
def test_meshes_read_back_equal(mesh, tmp_path, kind):
    path = tmp_path / f"a{kind}"
    write(mesh, path)
    again = read(path)
    ours, theirs = mesh.vertices[mesh.faces], np.asarray(again.vertices)[again.faces]
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    if kind != ".stl":
        np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-6)
        assert np.array_equal(again.faces, mesh.faces)
        np.testing.assert_allclose(again.vertex_normals, mesh.normals, atol=1e-5)
    again.merge_vertices()
    assert again.is_watertight
    assert again.volume == pytest.approx(mesh.volume, rel=1e-5)


@pytest.mark.parametrize("kind", [".glb", ".ply"])
def test_clouds_read_back_as_points(cloud, tmp_path, kind):
    path = tmp_path / f"a{kind}"
    write(cloud, path)
    again = read(path)
    assert isinstance(again, trimesh.PointCloud)
    np.testing.assert_allclose(again.vertices, cloud.points, atol=1e-6)


def test_clouds_keep_their_normals_in_ply(cloud, tmp_path):
    write(cloud, tmp_path / "a.ply")
    header, _, rows = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert b"property float nz" in header
    np.testing.assert_array_equal(np.frombuffer(rows, "<f4").reshape(-1, 6)[:, 3:], cloud.normals)


@pytest.mark.parametrize("kind", [".stl", ".obj"])
def test_clouds_become_discs_where_formats_hold_surfaces_only(cloud, tmp_path, kind):
    write(cloud, tmp_path / f"a{kind}")
    again = read(tmp_path / f"a{kind}")
    assert len(again.faces) == 4 * len(cloud.points)
    centres = np.asarray(again.triangles).reshape(len(cloud.points), -1, 3).mean(axis=1)
    assert np.abs(centres - cloud.points).max() < 0.2


@pytest.mark.parametrize("artefact", ["mesh", "cloud"])
@pytest.mark.parametrize("kind", KINDS)
def test_files_repeat(request, tmp_path, artefact, kind):
    paths = [tmp_path / f"{name}{kind}" for name in "ab"]
    for path in paths:
        write(request.getfixturevalue(artefact), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_mesh_is_a_valid_file_without_a_surface(nothing, tmp_path, kind):
    write(nothing, tmp_path / f"a{kind}")
    assert (tmp_path / f"a{kind}").stat().st_size > 0
    assert trimesh.load(tmp_path / f"a{kind}", force="scene").is_empty


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_the_system_pass_through(mesh, tmp_path, kind):
    with pytest.raises(FileNotFoundError):
        write(mesh, tmp_path / "missing" / f"a{kind}")


Z_UP = {"y": (), "z": (".ply", ".stl", ".obj"), "all-z": KINDS}  # files in which z points up, by the setting
TO_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # turns z to y


def read_box(path, up):
    """The surface of a file with its account, and settings."""
    settings = OccupancySettings(surface=512, points=256, up=up)
    with accounting() as account:
        signal = shape_of(path, settings)
    cloud = PointCloud(signal.surface[0].numpy(), signal.normals[0].numpy())
    return cloud, account.changes[path.name], settings


@pytest.mark.parametrize("up", Z_UP)
@pytest.mark.parametrize(
    ("kind", "at"), [(".obj", (5.0, -20.0, 1.0)), (".obj", (500000.0, 4500000.0, 100.0)), (".glb", (5.0, -20.0, 1.0))]
)
def test_what_was_read_is_written_where_it_was_in_the_axes_of_the_format(up, kind, at, tmp_path):
    trimesh.creation.box((2, 3, 8)).apply_translation(at).export(tmp_path / f"a{kind}")
    cloud, changes, settings = read_box(tmp_path / f"a{kind}", up)
    for suffix in KINDS:
        turn = np.eye(3)
        if kind in Z_UP[up]:
            turn = TO_Y @ turn
        if suffix in Z_UP[up]:
            turn = TO_Y.T @ turn
        back = export.restored(cloud, changes, suffix, settings)
        offset = (back.points @ turn - np.array(at)) / (1, 1.5, 4)
        face = np.abs(offset).argmax(axis=1)
        np.testing.assert_allclose(np.abs(offset).max(axis=1), 1, atol=1e-3)
        normals = (back.normals @ turn)[np.arange(512), face]
        np.testing.assert_allclose(normals, np.sign(offset[np.arange(512), face]), atol=1e-6)
        write(Mesh(back.points[:3], np.array([[0, 1, 2]], dtype=np.int32)), tmp_path / f"b{suffix}")
        found = trimesh.load_scene(tmp_path / f"b{suffix}").to_mesh().bounds
        np.testing.assert_allclose(found, [back.points[:3].min(axis=0), back.points[:3].max(axis=0)], atol=0.3)


@pytest.mark.parametrize("up", Z_UP)
def test_what_was_written_is_read_back_upright(up, tmp_path):
    """Whatever the format: the longest side of a box that stands is along y in the model."""
    upright = trimesh.creation.box((2, 3, 8) if up != "y" else (2, 8, 3))
    upright.export(tmp_path / "a.stl")
    cloud, changes, settings = read_box(tmp_path / "a.stl", up)
    sides = np.ptp(cloud.points, axis=0)
    assert sides[1] == pytest.approx(1.8, abs=0.02)
    corners = trimesh.creation.box(sides)
    mesh = Mesh(np.asarray(corners.vertices), np.asarray(corners.faces, np.int32))
    for suffix in KINDS:
        for what in (changes, ()):  # a reconstruction, and a sample
            write(export.restored(mesh, what, suffix, settings), tmp_path / f"b{suffix}")
            again, _, _ = read_box(tmp_path / f"b{suffix}", up)
            np.testing.assert_allclose(np.ptp(again.points, axis=0), sides, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("up", ["y", "z"])
def test_samples_are_written_in_the_units_and_axes_of_the_settings(mesh, tmp_path, kind, up):
    settings = OccupancySettings(up=up, length=90.0)
    write(export.restored(mesh, (), kind, settings), tmp_path / f"a{kind}")
    found, wanted = read(tmp_path / f"a{kind}"), 50 * np.ptp(mesh.vertices, axis=0)
    np.testing.assert_allclose(found.extents, wanted[[0, 2, 1]] if kind in Z_UP[up] else wanted, rtol=1e-5)
    found.merge_vertices()
    assert found.volume == pytest.approx(50**3 * mesh.volume, rel=1e-4)
    assert export.restored(mesh, (), ".glb", OccupancySettings(up=up)) is mesh


def test_the_original_of_a_completion_is_the_mesh_of_the_file_where_the_file_has_it(tmp_path):
    trimesh.creation.box((2, 3, 8)).apply_translation((5, -20, 1)).export(tmp_path / "a.obj")
    cloud, changes, settings = read_box(tmp_path / "a.obj", "y")
    parts = OCCUPANCY.load()(OCCUPANCY, settings)
    original = parts.original(tmp_path / "a.obj", shape_of(tmp_path / "a.obj", settings))
    assert isinstance(original, Mesh)
    assert len(original.faces) == 12
    back = export.restored(original, changes, ".obj", settings)
    np.testing.assert_allclose(back.vertices.min(axis=0), (4, -21.5, -3), atol=1e-5)
    np.testing.assert_allclose(back.vertices.max(axis=0), (6, -18.5, 5), atol=1e-5)
    np.savetxt(tmp_path / "b.xyz", np.concatenate([cloud.points, cloud.normals], axis=1))
    points = parts.original(tmp_path / "b.xyz", shape_of(tmp_path / "b.xyz", settings))
    assert isinstance(points, PointCloud)


def test_a_contact_sheet_of_shapes_shows_the_observed_part_alone(tmp_path, monkeypatch):
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "a.obj")
    settings = OccupancySettings(surface=512, points=256)
    parts, signal = OCCUPANCY.load()(OCCUPANCY, settings), shape_of(tmp_path / "a.obj", settings)
    whole = parts.sampler.places(signal, 256, torch.Generator().manual_seed(0))
    seen = Observations(whole, whole.targets[0]).kept(whole.coords[0, :, 0] < 0)
    drawn = []
    still = Image.new("RGB", (1, 1))
    monkeypatch.setattr(type(parts), "still", lambda parts, artefact: drawn.append(artefact) or still)
    rows = parts.contact_sheet(signal, seen, None, ["completion"])
    assert list(rows) == ["original", "observed inside", "completions"]
    observed = drawn[1].points
    assert 0 < len(observed) < int((whole.targets[0] > 0.5).sum())
    assert (observed[:, 0] < 0).all()
    assert (np.abs(observed) <= 0.9).all()
