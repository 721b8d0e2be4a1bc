"""Sheets and open shapes: what is said of them, and the walls that they can be given."""

import io

import attrs
import numpy as np
import pytest
import trimesh

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_occupancy.data.folder import load
from ddmi_occupancy.data.mesh_files import read_mesh
from ddmi_occupancy.geometry.mesh import TriangleMesh, open_edges
from ddmi_occupancy.geometry.sheets import bare_share, with_walls
from ddmi_occupancy.geometry.winding_number import inside
from ddmi_occupancy.settings import OccupancySettings

SETTINGS = OccupancySettings(surface=128, points=256, held_out=0.3, thickness=0.1)
WRAP, WINDING = attrs.evolve(SETTINGS, solid="wrap"), attrs.evolve(SETTINGS, solid="winding")
THIN = "without the faces that bound nothing"
LIDS = "closed over openings, as those of a cup"


def box(size, at=(0, 0, 0)):
    made = trimesh.creation.box(size).apply_translation(at)
    return TriangleMesh(np.array(made.vertices), np.array(made.faces))


def joined(*parts):
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    return TriangleMesh(np.concatenate([part.vertices for part in parts]), faces)


def sheet(y):
    places = np.array([(-1, y, -1), (1, y, -1), (1, y, 1), (-1, y, 1)], dtype=float)
    return TriangleMesh(places, np.array([(0, 2, 1), (0, 3, 2)]))


def crate(side=1.8):
    whole = box((side,) * 3)
    top = (whole.corners[:, :, 1] > 0.4 * side).all(axis=1)
    return TriangleMesh(whole.vertices, whole.faces[~top])


LEGS = joined(*(box((0.2, 2, 0.2), (x, 0, z)) for x in (-0.9, 0.9) for z in (-0.9, 0.9)))
TABLE = joined(LEGS, sheet(1.0))  # legs are solid, the top is a sheet that meets them in a corner
BARE = 4 / (4 + 4 * (4 * 0.2 * 2 + 2 * 0.04))


def read(mesh, settings):
    data = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(file_type="obj")
    solid, changes = read_mesh(io.BytesIO(data.encode()), "a.obj", None, settings)
    return solid, {change.what: change for change in changes}


def share_inside(solid):
    points = np.random.default_rng(0).uniform(-1, 1, (40000, 3))
    return float(inside(solid, points).mean()) * 8


def test_a_table_with_a_sheet_as_top_says_which_share_bounds_nothing():
    solid, changes = read(TABLE, SETTINGS)
    assert changes[THIN].amount == pytest.approx(BARE, abs=0.02)
    assert "domain.solid=wrap" in changes[THIN].fix
    assert share_inside(solid) == pytest.approx(4 * 0.08 * 0.9**3, rel=0.1)
    assert bare_share(TABLE, LEGS, "a.obj") == pytest.approx(BARE, abs=0.02)


def test_solids_say_nothing():
    for part in (box((1, 2, 3)), joined(box((1, 1, 1)), box((1, 1, 1), (0.5, 0, 0)))):
        for settings in (SETTINGS, WRAP, WINDING):
            solid, changes = read(part, settings)
            assert list(changes) == ["moved to the centre and scaled"]
            assert solid.volume == pytest.approx(read(part, SETTINGS)[0].volume)


def test_walls_have_their_thickness_and_solids_stay():
    solid, changes = read(TABLE, WRAP)
    (walls,) = (change for what, change in changes.items() if "given walls of thickness 0.1" in what)
    assert walls.amount == pytest.approx(BARE, abs=1e-3)
    assert len(open_edges(solid)) == 0
    points = np.random.default_rng(0).uniform(-1, 1, (20000, 3))
    legs = (np.abs(np.abs(points[:, [0, 2]]) - 0.81) < 0.09).all(axis=1) & (np.abs(points[:, 1]) < 0.9)
    beside = np.abs(points[:, [0, 2]]).max(axis=1) < 0.9
    top = beside & (np.abs(points[:, 1] - 0.9) < 0.05)
    unsure = (np.abs(np.abs(points[:, 1] - 0.9) - 0.05) < 0.005) | ~beside
    assert (inside(solid, points) == (legs | top))[~unsure].all()


def test_a_crate_is_full_or_hollow():
    full, changes = read(crate(), SETTINGS)
    assert changes[LIDS].amount == pytest.approx(1 / 6, abs=0.001)
    assert "domain.solid=wrap" in changes[LIDS].fix
    assert share_inside(full) == pytest.approx(1.8**3, rel=0.01)
    hollow, _ = read(crate(), WRAP)
    points = np.array([[0, 0, 0], [0, 0.8, 0], [0, -0.9, 0], [0.87, 0, 0], [0.93, 0.5, 0.2], [0.96, 0, 0], [0.8, 0, 0]])
    assert inside(hollow, points).tolist() == [False, False, True, True, True, False, False]


def test_walls_close_gaps_that_are_narrower_than_they_are_and_fill_what_they_enclose():
    whole = box((1.8,) * 3)
    apart = joined(
        *(
            TriangleMesh(whole.corners[pair].reshape(-1, 3) * 0.99, np.arange(6).reshape(2, 3))
            for pair in (
                np.flatnonzero((whole.corners[:, :, axis] * sign > 0.8).all(axis=1))
                for axis in range(3)
                for sign in (-1, 1)
            )
        )
    )
    apart.vertices[:6] -= [0.02, 0, 0]  # one side has a gap of 0.02 all around
    solid, share = with_walls(apart, 0.1)
    assert share == 1
    assert inside(solid, np.array([[0.0, 0, 0], [0.5, -0.5, 0.8], [0.98, 0, 0]])).tolist() == [True, True, False]


def test_winding_numbers_close_holes():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    kept = np.random.default_rng(0).random(len(ball.faces)) < 0.9
    holes = TriangleMesh(np.array(ball.vertices), np.array(ball.faces)[kept])
    solid, changes = read(holes, WINDING)
    assert changes["closed by winding numbers"].amount == len(open_edges(holes))
    assert share_inside(solid) == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=0.04)


def test_what_has_one_side_or_no_volume_is_refused_but_gets_walls():
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rows = [
        [
            ((1 + s * np.cos(a / 2)) * np.cos(a), s * np.sin(a / 2), (1 + s * np.cos(a / 2)) * np.sin(a))
            for s in (-0.3, 0.3)
        ]
        for a in turns
    ]
    ring = [(2 * i, 2 * i + 1, *((2 * i + 2, 2 * i + 3) if i < 39 else (1, 0))) for i in range(40)]
    strip = TriangleMesh(
        np.array(rows).reshape(-1, 3), np.array([t for a, b, c, d in ring for t in ((a, b, c), (b, d, c))])
    )
    with pytest.raises(DataError, match=r"one side only.*domain\.solid=wrap"):
        read(strip, SETTINGS)
    with pytest.raises(DataError, match=r"not a sheet.*domain\.solid=wrap"):
        read(sheet(0), SETTINGS)
    for part, area in ((strip, None), (sheet(0), 1.8**2)):
        solid, _ = read(part, WRAP)
        assert len(open_edges(solid)) == 0
        if area:
            assert share_inside(solid) == pytest.approx(area * 0.1, rel=0.1)


def test_the_check_of_data_names_files_and_shares(tmp_path, monkeypatch):
    monkeypatch.setattr("ddmi_core.sources.array_cache.user_cache_path", lambda name: tmp_path / "cache" / name)
    for name, part in (("table", TABLE), ("crate", crate()), ("box", box((1, 1, 2)))):
        (tmp_path / "set").mkdir(exist_ok=True)
        trimesh.Trimesh(part.vertices, part.faces, process=False).export(tmp_path / "set" / f"{name}.stl")
    with accounting() as account:
        load(tmp_path / "set", SETTINGS)
    text = "\n".join(account.lines())
    assert f"warning: 1 signal {THIN}: table.stl (0.3" in text
    assert f"1 signal {LIDS}: crate.stl (0.167 of the area)" in text
    assert "domain.solid=wrap" in text
