"""Point clouds of surfaces, with and without normals, as inputs."""

import numpy as np
import pytest
import torch
import trimesh

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_occupancy.data.folder import read
from ddmi_occupancy.data.point_clouds import cloud_winding_number
from ddmi_occupancy.settings import OccupancySettings

SETTINGS = OccupancySettings(surface=512, points=4096)
BOX = (2.0, 1.0, 4.0)
AT = np.array([10.0, -20.0, 5.0])


def samples(n=3000):
    made = trimesh.creation.box(BOX).apply_translation(AT)
    points, faces = trimesh.sample.sample_surface(made, n, seed=1)
    return np.asarray(points), np.asarray(made.face_normals[faces])


def write(path, points, normals=None, colours=False):
    rows = points if normals is None else np.concatenate([points, normals], axis=1)
    if path.suffix == ".npz":
        np.savez(path, points=points, **({} if normals is None else {"normals": normals}))
    elif path.suffix == ".xyz":
        np.savetxt(path, rows, header="a scan", delimiter="," if colours else " ")
    else:
        names = ("x", "y", "z", "nx", "ny", "nz")[: rows.shape[1]]
        head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
        head += [
            *(f"property double {name}" for name in names),
            "element face 0",
            "property list uchar int vertex_indices",
        ]
        path.write_bytes("\n".join([*head, "end_header\n"]).encode() + rows.astype("<f8").tobytes())
    return path


def agreement(signal, up="y"):
    """Share of the points in space whose label is right, outside of the sampling error of the surface."""
    half = np.array(BOX) / 2 * 1.8 / 4
    half = half[[0, 2, 1]] if up == "z" else half
    distance = (np.abs(signal.points[0].numpy()) - half).max(axis=1)
    clear = np.abs(distance) > 0.04
    return ((distance < 0) == signal.inside[0].numpy().astype(bool))[clear].mean()


@pytest.mark.parametrize("suffix", [".ply", ".xyz", ".npz"])
@pytest.mark.parametrize("oriented", [True, False])
def test_clouds_of_all_kinds_give_the_solid(suffix, oriented, tmp_path):
    points, normals = samples()
    path = write(tmp_path / f"a{suffix}", points, normals if oriented else None)
    with accounting() as account:
        signal = read(path, SETTINGS)
    changes = {change.what: change for change in account.changes[path.name]}
    assert ("given normals from neighbouring points" in changes) is not oriented
    place = changes["moved to the centre and scaled"].values
    np.testing.assert_allclose(place["centre"], AT, atol=0.02)
    assert place["scale"] == pytest.approx(1.8 / 4, rel=0.01)
    assert agreement(signal) > 0.99
    axis = signal.surface[0].abs().numpy() / (np.array(BOX) / 2 * 1.8 / 4)
    facing = axis.argmax(axis=1)
    along = (signal.normals[0] * signal.surface[0].sign()).numpy()[np.arange(512), facing]
    assert (along > 0.7).mean() > 0.9
    if oriented:
        assert (along > 0.98).all()


def test_inward_normals_are_turned_and_z_may_be_up(tmp_path):
    points, normals = samples()
    path = write(tmp_path / "a.xyz", points, -normals)
    with accounting() as account:
        signal = read(path, OccupancySettings(surface=512, points=4096, up="z"))
    assert "turned outwards in part" in [change.what for change in account.changes["a.xyz"]]
    assert agreement(signal, "z") > 0.99


def test_colours_are_no_normals_and_commas_separate(tmp_path):
    points, _ = samples()
    colours = np.full_like(points, 200.0)
    path = write(tmp_path / "a.xyz", points, colours, colours=True)
    with accounting() as account:
        assert agreement(read(path, SETTINGS)) > 0.99
    assert "given normals from neighbouring points" in [change.what for change in account.changes["a.xyz"]]


def test_the_winding_number_of_points_of_a_ball_is_one_inside():
    points = np.random.default_rng(0).standard_normal((4000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    areas = np.full(4000, np.pi * 4 / 4000)
    places = np.array([[0, 0, 0], [0.5, 0.2, 0], [0, 0, 1.5], [3, 3, 3]], dtype=float)
    assert cloud_winding_number(points, points, areas, places) == pytest.approx([1, 1, 0, 0], abs=0.02)


def test_the_files_of_occupancy_networks_are_read_together(tmp_path):
    points, normals = samples(4000)
    points, space = (points - AT) / 4, np.random.default_rng(0).uniform(-0.55, 0.55, (6000, 3))
    inside = (np.abs(space) < np.array(BOX) / 8).all(axis=1)
    np.savez(tmp_path / "pointcloud.npz", points=points, normals=normals)
    np.savez(tmp_path / "points.npz", points=space, occupancies=np.packbits(inside))
    for name in ("points.npz", "pointcloud.npz"):
        with accounting() as account:
            signal = read(tmp_path / name, SETTINGS)
        assert agreement(signal) == 1
        assert account.changes[name][0].values["scale"] == pytest.approx(1.8, rel=0.01)
    assert torch.equal(signal.weights, torch.ones_like(signal.weights))
    (tmp_path / "points.npz").unlink()
    assert agreement(read(tmp_path / "pointcloud.npz", SETTINGS)) > 0.99


@pytest.mark.parametrize(
    ("name", "points", "message"),
    [
        ("few.xyz", np.zeros((9, 3)), "9 points are too few"),
        ("same.npz", np.zeros((99, 3)), "all points are the same"),
        ("nan.ply", np.full((99, 3), np.nan), "not finite"),
        ("two.xyz", np.zeros((99, 2)), "three or six numbers"),
        ("flat.npz", np.zeros((99, 2)), r"equal shapes \(N, 3\)"),
        ("sheet.ply", np.random.default_rng(0).uniform(size=(900, 3)) * (1, 0, 1), "enclose nothing"),
    ],
)
def test_clouds_that_are_no_surface_are_refused(name, points, message, tmp_path):
    if points.shape[1] == 2 and name.endswith("xyz"):
        np.savetxt(tmp_path / name, points)
    else:
        write(tmp_path / name, points)
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path / name, SETTINGS)
    assert str(tmp_path / name) in str(raised.value)
