"""Mesh files: formats, defects and their repair, and inside tests."""

import io
import logging
import sys
import types
import zipfile

import attrs
import numpy as np
import pytest
import torch

from ddmi_core.errors import DataError
from ddmi_core.parts import extract_surface
from ddmi_core.sources import array_cache as kept
from ddmi_core.sources.account import accounting
from ddmi_core.training import distributed
from ddmi_occupancy.data import mesh_files
from ddmi_occupancy.data.folder import load, read
from ddmi_occupancy.data.furniture.attributes import measure
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.parameters import furniture
from ddmi_occupancy.data.furniture.solids import distance
from ddmi_occupancy.data.mesh_points import occupied, surface
from ddmi_occupancy.geometry import winding_number as winding_numbers
from ddmi_occupancy.geometry.mesh import TriangleMesh, cleaned, normalised, open_edges
from ddmi_occupancy.geometry.mesh_repair import components, filled, oriented, outwards, repaired
from ddmi_occupancy.geometry.winding_number import (
    crossings,
    inside,
    kaolin_available,
    open_winding_number,
    winding_number,
)
from ddmi_occupancy.settings import OccupancySettings

trimesh = pytest.importorskip("trimesh")

SMALL = OccupancySettings(surface=128, points=256, held_out=0.3)
FORMATS = ("obj", "ply", "stl", "off", "glb", "gltf")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "cache" / name)


def mesh(made):
    return TriangleMesh(np.array(made.vertices, dtype=float), np.array(made.faces, dtype=np.int64))


def box(size=(1.0, 1.0, 1.0), at=(0.0, 0.0, 0.0)):
    return mesh(trimesh.creation.box(size).apply_translation(at))


def ball(radius=0.5, fine=3):
    return mesh(trimesh.creation.icosphere(subdivisions=fine, radius=radius))


def joined(*parts):
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    return TriangleMesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
    )


def flipped(part):
    return TriangleMesh(part.vertices, part.faces[:, ::-1])


def uniform(n=4000, seed=0, size=1.0):
    return np.random.default_rng(seed).uniform(-size, size, (n, 3))


def in_box(points, size, at=(0, 0, 0)):
    return (np.abs(points - np.array(at)) < np.array(size) / 2).all(axis=1)


def save(part, path, suffix=None):
    made = trimesh.Trimesh(part.vertices, part.faces, process=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gltf":
        for name, data in trimesh.Scene(made).export(file_type="gltf").items():
            target = path if name.endswith(".gltf") else path.parent / name
            target.write_bytes(data)
    else:
        made.export(path)
    return path


# What is inside.


def test_all_ways_agree_on_a_ball():
    part, points = ball(0.6), uniform()
    angles = winding_number(part, points)
    assert angles == pytest.approx(np.rint(angles), abs=1e-9)
    for axis in range(3):
        assert (crossings(part, points, axis) == np.rint(angles)).all()
    radius = np.linalg.norm(points, axis=1)
    clear = (radius < 0.59) | (radius > 0.6)
    assert (inside(part, points) == (radius < 0.6))[clear].all()


def test_overlapping_parts_are_joined():
    part = joined(box(), box(at=(0.3, 0.2, 0.1)))
    points = uniform()
    expected = in_box(points, (1, 1, 1)) | in_box(points, (1, 1, 1), (0.3, 0.2, 0.1))
    assert (inside(part, points) == expected).all()
    assert winding_number(part, np.array([[0.2, 0.2, 0.2]])) == pytest.approx([2])


def test_a_cavity_is_outside():
    part = joined(box(), flipped(box((0.5, 0.5, 0.5))))
    points = uniform()
    assert (inside(part, points) == in_box(points, (1, 1, 1)) & ~in_box(points, (0.5, 0.5, 0.5))).all()


def test_rays_through_edges_and_corners_count_once():
    """Points of a lattice under the corners and edges of faces: the hardest case."""
    part = ball(0.5, 0)
    steps = np.linspace(-1, 1, 9)
    part = TriangleMesh(np.round(part.vertices * 4) / 4, part.faces)
    points = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    on_faces = (np.abs(points) == 0.25).all(axis=1)
    away = (np.abs(winding_number(part, points) - np.rint(winding_number(part, points))) < 1e-6) & ~on_faces
    assert away.sum() > 600
    for axis in range(3):
        assert (crossings(part, points, axis) == np.rint(winding_number(part, points)))[away].all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_what_is_inside_does_not_depend_on_units(scale):
    points = uniform(500)
    part = ball()
    moved = TriangleMesh(part.vertices * scale + 3 * scale, part.faces)
    assert (inside(moved, points * scale + 3 * scale) == inside(part, points)).all()


def test_few_and_large_faces_take_no_more_memory_at_once(monkeypatch):
    points = uniform(3000)
    whole = inside(ball(), points)
    monkeypatch.setattr(winding_numbers, "PAIRS", 64)
    assert (inside(ball(), points) == whole).all()


def test_an_open_mesh_is_decided_by_its_winding_number():
    draw = np.random.default_rng(1)
    part = joined(ball(0.5), box((0.5, 0.5, 0.5), at=(0.2, 0, 0)), flipped(box((0.1, 0.1, 0.1), at=(3, 0, 0))))
    part = TriangleMesh(part.vertices, part.faces[draw.random(len(part.faces)) < 0.6])
    points = uniform()
    found = winding_number(part, points)
    assert open_winding_number(part, points, open_edges(part)) == pytest.approx(found, abs=1e-9)
    assert (inside(part, points) == (found > 0.5)).all()


def test_winding_numbers_of_an_open_mesh_are_fractions():
    part = box()
    lid = part.corners[:, :, 1].mean(axis=1) > 0.49
    found = winding_number(TriangleMesh(part.vertices, part.faces[~lid]), np.zeros((1, 3)))
    assert found == pytest.approx([5 / 6])  # a face of a cube is a sixth of the sphere


def test_kaolin_is_used_if_it_is_installed_and_agrees_with_the_rays(monkeypatch, caplog):
    assert not kaolin_available()
    calls = []

    def check_sign(verts, faces, points, hash_resolution=512):
        """The signature and the argument checks of kaolin's own function."""
        calls.append(points.shape)
        assert verts.device == faces.device == points.device == distributed.default_device()
        assert faces.dtype == torch.int64
        assert (verts.ndim, faces.ndim, points.ndim) == (3, 2, 3)
        assert verts.shape[2] == faces.shape[1] == points.shape[2] == 3
        assert len(verts) == len(points) == 1
        return torch.from_numpy(answers[-1])[None].to(points.device)

    package, ops, module = (types.ModuleType(name) for name in ("kaolin", "kaolin.ops", "kaolin.ops.mesh"))
    for part in (package, ops):
        part.__path__ = []
    from importlib.machinery import ModuleSpec

    module.check_sign, module.__spec__ = check_sign, ModuleSpec("kaolin.ops.mesh", None)
    for part in (package, ops, module):
        monkeypatch.setitem(sys.modules, part.__name__, part)
    assert kaolin_available()
    points, truth = uniform(3000), in_box(uniform(3000), (1, 1, 1))
    answers = [truth]
    assert (inside(box(), points) == truth).all()
    assert calls == [(1, 3000, 3)]
    answers.append(~truth)
    with caplog.at_level(logging.INFO, logger="ddmi_occupancy.geometry.winding_number"):
        assert (inside(box(), points) == truth).all()
    assert "kaolin is not used: it agrees with the rays at only 0 % of the points" in caplog.text


# Surfaces.


def test_surface_points_are_even_and_on_the_boundary_alone():
    part = joined(box(), box((1, 0.5, 0.5), at=(0.5, 0, 0)))  # half of the second lies in the first
    points, normals = surface(part, 6000, np.random.default_rng(0))
    area = 6 + 4 * 0.5 * 0.5
    beyond = points[:, 0] > 0.5 + 1e-9
    assert beyond.mean() == pytest.approx(1.25 / area, abs=0.02)
    assert not (in_box(points, (0.99, 0.99, 0.99)) | in_box(points, (0.99, 0.49, 0.49), (0.5, 0, 0))).any()
    assert (points * normals).sum() / len(points) * area / 3 == pytest.approx(1 + 0.125, rel=0.03)


def test_occupied_cells_are_those_of_the_solid():
    grid = occupied(box((2.0, 1.0, 0.5), at=(5, 6, 7)), 44)
    assert grid.sum(axis=2).max() == 40
    assert grid.sum(axis=1).max() == 20
    assert grid.sum(axis=0).max() == 10
    assert grid.sum() == 40 * 20 * 10


def test_properties_are_measured_on_meshes_as_on_solids():
    for number in (0, 6, 27):
        piece = furniture(number)
        parts = build(piece)
        made = extract_surface(lambda p: -torch.from_numpy(distance(parts, p.numpy())), (56,) * 3, normals=False)  # noqa: B023
        found = measure(occupied(mesh(made)))
        assert found.legs == {"legs": piece.legs, "panels": 1, "pedestal": 1}[piece.support]
        assert found.back == (piece.back != "none")
        assert found.panels == (piece.support == "panels")


# Repair.


def test_a_closed_mesh_has_no_open_edges():
    assert len(open_edges(ball())) == 0
    assert len(open_edges(joined(box(), box(at=(0.3, 0, 0))))) == 0
    assert len(open_edges(TriangleMesh(box().vertices, box().faces[1:]))) == 3


def test_faces_are_turned_the_same_way_and_outwards():
    part = joined(ball(), box(at=(3, 0, 0)))
    turned = np.random.default_rng(0).random(len(part.faces)) < 0.4
    wrong = TriangleMesh(part.vertices, np.where(turned[:, None], part.faces[:, ::-1], part.faces))
    assert len(open_edges(wrong)) > 0
    repaired_part = outwards(oriented(wrong))
    assert len(open_edges(repaired_part)) == 0
    assert repaired_part.volume == pytest.approx(part.volume)
    assert components(repaired_part)[0] == 2


def test_a_cavity_stays_one():
    part = joined(box(), flipped(box((0.5, 0.5, 0.5))))
    assert outwards(part).volume == pytest.approx(1 - 0.125)
    assert outwards(joined(flipped(box()), box(at=(2, 0, 0)))).volume == pytest.approx(2)


@pytest.mark.parametrize("missing", [[0], [0, 1], [0, 5], [2, 7, 11]])
def test_holes_of_a_box_are_closed(missing):
    part = box()
    repaired_part = filled(TriangleMesh(part.vertices, np.delete(part.faces, missing, axis=0)))
    assert len(open_edges(repaired_part)) == 0
    assert repaired_part.volume == pytest.approx(1, abs=0.35)


def test_a_ball_with_a_hole_is_closed_flat():
    part = ball(0.5, 4)
    top = part.corners[:, :, 1].mean(axis=1) > 0.4
    whole = repaired(TriangleMesh(part.vertices, part.faces[~top]), "ball.ply", True)
    cap = np.pi * 0.1**2 * (1.5 - 0.1) / 3
    assert whole.volume == pytest.approx(part.volume - cap, rel=0.02)


def with_nan(part):
    vertices = part.vertices.copy()
    vertices[3, 1] = np.nan
    return TriangleMesh(vertices, part.faces)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (with_nan(box()), r"bad\.ply: 1 vertex not finite, the first is number 3"),
        (TriangleMesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), "all faces shrink to a point"),
        (TriangleMesh(np.eye(3) * [1, 0, 0], np.array([[0, 1, 2]])), "all faces are degenerate"),
        (TriangleMesh(np.eye(3), np.array([[0, 1, 3]])), "a face names vertex 3, but there are 3"),
    ],
)
def test_meshes_without_sense_are_refused(part, message):
    with pytest.raises(DataError, match=message):
        cleaned(part, "bad.ply")


def test_degenerate_faces_and_double_vertices_are_dropped():
    part = box()
    loose = TriangleMesh(part.corners.reshape(-1, 3), np.arange(36).reshape(12, 3))  # as in STL files
    extra = TriangleMesh(
        np.concatenate([loose.vertices, [[9, 9, 9]]]), np.concatenate([loose.faces, [[0, 0, 1], [4, 4, 4]]])
    )
    found = cleaned(extra, "x.stl")
    assert (len(found.vertices), len(found.faces)) == (8, 12)
    assert len(open_edges(found)) == 0


def test_defects_are_repaired_or_named(monkeypatch):
    part = normalised(box((1, 0.5, 1)))
    hole = TriangleMesh(part.vertices, part.faces[1:])
    with pytest.raises(DataError, match=r"a\.obj: not watertight: 3 edges without a face.*domain\.repair=true"):
        repaired(hole, "a.obj", False)
    with pytest.raises(DataError, match=r"its faces point inwards.*domain\.repair=true"):
        repaired(flipped(part), "a.obj", False)
    for wrong in (hole, flipped(part)):
        assert repaired(wrong, "a.obj", True).volume == pytest.approx(part.volume)
    assert repaired(part, "a.obj", False) is part
    sheet = TriangleMesh(part.vertices, np.concatenate([part.faces[:2], part.faces[:2, ::-1]]))
    with pytest.raises(DataError, match="it has no volume; a solid is required, not a sheet"):
        repaired(sheet, "a.obj", True)


def test_edges_that_form_no_loop_are_named():
    part = normalised(box())
    # a flap: a face too many at one edge
    flap = TriangleMesh(
        np.concatenate([part.vertices, [[1, 1, 1]]]), np.concatenate([part.faces, [[0, 1, 8], [0, 1, 8]]])
    )
    with pytest.raises(DataError, match=r"b\.obj: not watertight"):
        repaired(flap, "b.obj", False)


# Files.


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_formats_give_the_same_solid(tmp_path, suffix):
    part = joined(box((2, 1, 1)), ball(0.5, 2))
    signal = read(save(part, tmp_path / f"shape.{suffix}"), OccupancySettings(surface=512, points=4096))
    assert signal.surface.shape == (1, 512, 3)
    assert signal.surface[0].abs().amax(dim=0) == pytest.approx(torch.tensor([0.9, 0.45, 0.45]), abs=0.02)
    truth = (signal.points[0].abs() < torch.tensor([0.9, 0.45, 0.45])).all(dim=-1)
    assert torch.equal(signal.inside[0].bool(), truth)


@pytest.mark.parametrize("suffix", ["glb", "gltf"])
def test_scenes_are_merged_with_their_transforms(tmp_path, suffix):
    scene = trimesh.Scene()
    for height, turn in ((0.0, 0.0), (2.0, np.pi / 2)):
        matrix = trimesh.transformations.rotation_matrix(turn, (0, 1, 0))
        matrix[1, 3] = height
        scene.add_geometry(trimesh.creation.box((1, 1, 3)), transform=matrix)
    if suffix == "glb":
        (tmp_path / "scene.glb").write_bytes(scene.export(file_type="glb"))
    else:
        for name, data in scene.export(file_type="gltf").items():
            (tmp_path / name.replace("model", "scene")).write_bytes(data)
    signal = read(tmp_path / f"scene.{suffix}", OccupancySettings(surface=512, points=4096))
    points = signal.points[0].double().numpy() / 0.6
    truth = in_box(points, (1, 1, 3), (0, -1, 0)) | in_box(points, (3, 1, 1), (0, 1, 0))
    assert (signal.inside[0].numpy() == truth).all()


def test_units_do_not_matter_and_up_may_be_z(tmp_path):
    tall = box((1, 3, 2))
    plain = read(save(tall, tmp_path / "a.ply"), SMALL)
    large = read(save(TriangleMesh(tall.vertices * 1000 + 77, tall.faces), tmp_path / "b.ply"), SMALL)
    assert large.surface[0].abs().amax(dim=0) == pytest.approx(plain.surface[0].abs().amax(dim=0), abs=0.02)
    # Its upper end is slanted: no mirror image of it is the same.
    slope = (tall.vertices[:, 1] > 0) * (tall.vertices @ [0.4, 0, 0.6])
    slanted = TriangleMesh(tall.vertices + slope[:, None] * [0, 1, 0], tall.faces)
    printed = TriangleMesh(slanted.vertices[:, [0, 2, 1]] * [1, -1, 1], slanted.faces)  # y becomes z, z becomes -y
    one = read(save(slanted, tmp_path / "c.stl"), OccupancySettings(surface=128, points=4096))
    other = read(save(printed, tmp_path / "d.stl"), OccupancySettings(surface=128, points=4096, up="z"))
    for signal in (one, other):
        points = signal.points[0].double().numpy()
        assert (inside(normalised(slanted), points) == signal.inside[0].numpy()).all()


def test_reading_depends_on_the_file_alone(tmp_path):
    path = save(ball(), tmp_path / "a.ply")
    one, other = read(path, SMALL), read(path, SMALL)
    assert torch.equal(one.points, other.points)
    third = read(save(ball(0.5, 2), tmp_path / "b.ply"), SMALL)
    assert not torch.equal(one.points, third.points)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces; a solid is required"),
        ("a.ply", b"ply\nformat ascii 1.0\nnonsense", "cannot be read as ply"),
        ("a.stl", b"solid x\nendsolid x\n", "cannot be read as stl|no faces; a solid is required"),
        ("a.glb", b"glTF\x02\0\0\0", "cut short: it has 8 of 0 bytes"),
        ("a.gltf", b"{", "is cut short, in the middle of its JSON"),
        ("a.off", b"OFF\n3 1 0\n0 0 0\n", "cut short: it has 1 of 4 lines"),
        ("a.obj", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not watertight|no volume"),
        ("a.txt", b"x", "meshes end in .obj, .ply"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path / name, SMALL)
    assert str(tmp_path / name) in str(raised.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.obj: no such file"):
        read(tmp_path / "none.obj", SMALL)
    with pytest.raises(DataError, match="a folder, not a mesh file"):
        read(tmp_path, SMALL)


def test_large_files_are_refused(tmp_path, monkeypatch):
    path = save(ball(), tmp_path / "a.ply")
    monkeypatch.setattr(mesh_files, "MOST_FACES", 1000)
    with pytest.raises(DataError, match=r"a\.ply: 1,280 faces exceed the limit of 1,000; simplify the mesh"):
        read(path, SMALL)
    monkeypatch.setattr(mesh_files, "MOST_BYTES", 1 << 12)
    with pytest.raises(DataError, match="MiB exceed the limit of"):
        read(path, SMALL)


# Folders.


@pytest.fixture
def folder(tmp_path):
    for i in range(8):
        kind = "ball" if i % 2 else "box"
        part = ball(0.5 + i, 1) if i % 2 else box((1, 1 + i, 1))
        save(part, tmp_path / "set" / kind / f"{i}.{FORMATS[i % 5]}")
    return tmp_path / "set"


def test_a_folder_is_a_split_with_classes(folder):
    split = load(folder, SMALL)
    names = [*split.train.names, *split.held_out.names]
    assert sorted(names) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert split.train.classes == split.held_out.classes == ("ball", "box")
    assert len(split.held_out) > 0
    for part in (split.train, split.held_out):
        assert [part.classes[label] for label in part.labels] == [name.split("/")[0] for name in part.names]
    assert load(folder, OccupancySettings(surface=128, points=256, classes=False)).train.classes == ()
    assert len(load(folder, OccupancySettings(surface=128, points=256, limit=4)).train.names) < 4


def test_an_archive_gives_the_same_as_its_folder(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    assert load(tmp_path / "set.zip", SMALL).train.fingerprint() == load(folder, SMALL).train.fingerprint()


def test_gltf_files_without_their_buffers_are_told_what_to_do(tmp_path):
    save(box(), tmp_path / "set" / "box.gltf")
    buffer = min((tmp_path / "set").glob("*.bin"))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in (tmp_path / "set").iterdir():
            archive.write(path, path.name)
    with pytest.raises(DataError, match=rf"box.gltf: its buffer {buffer.name} cannot .*archive; unpack it.* GLB"):
        load(tmp_path / "set.zip", SMALL)
    buffer.unlink()
    with pytest.raises(DataError, match=rf"box.gltf: its buffer {buffer.name} is missing; put it in the same.* GLB"):
        load(tmp_path / "set", SMALL)


def test_files_are_read_once(folder, monkeypatch):
    from ddmi_occupancy.data import folder as folders

    first = load(folder, SMALL).train.fingerprint()
    read_again = []
    monkeypatch.setattr(folders, "read_mesh", lambda *args: (read_again.append(args[1]) or ball(), ()))
    assert load(folder, SMALL).train.fingerprint() == first
    assert not read_again
    save(box((1, 9, 1)), folder / "box" / "0.obj")
    load(folder, SMALL)
    assert read_again == ["box/0.obj"]


def test_files_that_cannot_be_used_are_reported(folder, caplog):
    (folder / "box" / "bad.obj").write_text("v 0 0 0\n")
    with pytest.raises(DataError, match=r"(?s)1 file cannot be used.*box/bad\.obj.*domain\.strict=false"):
        load(folder, SMALL)
    with caplog.at_level(logging.WARNING):
        split = load(folder, OccupancySettings(surface=128, points=256, strict=False))
    assert "box/bad.obj" in caplog.text
    assert len(split.train) + len(split.held_out) == 8


def test_what_is_done_to_a_mesh_is_recorded_and_can_be_undone(tmp_path):
    """A box whose lid is missing, with one face turned, at a place and of a size of its own, z up."""
    whole = box((2.0, 3.0, 8.0), (5.0, 6.0, 7.0))
    lid = np.flatnonzero((whole.vertices[whole.faces][..., 2] == 11.0).all(axis=1))
    faces = np.delete(whole.faces, lid, axis=0)
    faces[0] = faces[0][::-1]
    save(TriangleMesh(whole.vertices, faces), tmp_path / "set" / "a.ply")
    save(ball(), tmp_path / "set" / "b.ply")
    with accounting() as account:
        load(tmp_path / "set", attrs.evolve(SMALL, up="z"))
    changes = {change.what: change for change in account.changes["a.ply"]}
    place = changes["moved to the centre and scaled"].values
    assert place["up"] == "z"
    np.testing.assert_allclose(place["centre"], [5, 7, -6])
    assert place["scale"] == pytest.approx(1.8 / 8)
    assert changes["closed where faces were missing"].amount == 4
    assert changes["turned outwards in part"].amount == pytest.approx(1 / len(faces), abs=1e-4)
    assert [change.what for change in account.changes["b.ply"]] == ["moved to the centre and scaled"]


def test_meshes_have_the_captions_beside_them(folder, caplog):
    files = sorted(folder.rglob("*.*"))
    for path in files:
        side = ", larger on the left" if path.stem == "0" else ""
        path.with_suffix(".txt").write_text(f"a {path.parent.name}, number {path.stem}{side}\n")
    split = load(folder, SMALL)
    for part in (split.train, split.held_out):
        for name, (text,), mirrored in zip(part.names, part.captions, part.mirrored.tolist(), strict=True):
            kind, number = name.split(".")[0].split("/")
            assert text.startswith(f"a {kind}, number {number}")
            assert mirrored is (number != "0")  # what is said of left is not true of a mirror image
    assert len(split.train) + len(split.held_out) == 8
    files[0].with_suffix(".txt").unlink()
    assert load(folder, SMALL).train.captions == ()
    assert "captions are ignored: only 7 of 8 meshes" in caplog.text


def test_empty_places_are_named(tmp_path):
    with pytest.raises(DataError, match="requires a folder or zip archive of meshes: --data PATH"):
        load(None, SMALL)
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(DataError, match="contains no meshes"):
        load(tmp_path, SMALL)
    (tmp_path / "bad.obj").write_text("v 0 0 0\n")
    with pytest.raises(DataError, match=r"none of its meshes \(1\) can be used"):
        load(tmp_path, OccupancySettings(surface=128, points=256, strict=False))


def test_a_stream_is_read_from_its_beginning():
    data = trimesh.creation.box().export(file_type="ply")
    stream = io.BytesIO(data)
    stream.seek(10)
    assert len(mesh_files.triangles(stream, "x.ply", None).faces) == 12
