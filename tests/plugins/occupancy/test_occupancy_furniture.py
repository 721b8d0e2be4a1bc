"""Solids, furniture made of them, what is said of it, and what can be measured on it."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import special

from ddmi_occupancy.data.furniture import source
from ddmi_occupancy.data.furniture.attributes import EMPTY, measure
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.captions import captions
from ddmi_occupancy.data.furniture.parameters import BACKS, CLASSES, furniture
from ddmi_occupancy.data.furniture.prompt_adherence import adherence
from ddmi_occupancy.data.furniture.solids import Solid, bounds, distance, inside, normalised
from ddmi_occupancy.data.furniture.surface_points import surface

SHEAR = np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, -0.2, 1.0]])
SOLIDS = {
    "box": (Solid(False, [0.5, 0.2, 0.3], [0.1, 0, 0]), 0.24, 2.48),
    "rounded box": (
        Solid(False, [0.5, 0.3, 0.4], [0, 0, 0], rounding=0.1),
        8 * 0.4 * 0.2 * 0.3 + 8 * 0.1 * (0.08 + 0.12 + 0.06) + math.pi * 0.01 * 2 * 0.9 + 4 / 3 * math.pi * 0.001,
        8 * (0.08 + 0.12 + 0.06) + 4 * math.pi * 0.1 * 0.9 + 4 * math.pi * 0.01,
    ),
    "cylinder": (Solid(True, [0.4, 0.6, 0.4], [0, 0.1, 0]), math.pi * 0.16 * 1.2, 2 * math.pi * 0.4 * 1.6),
    "cone": (
        Solid(True, [0.5, 0.4, 0.2], [0, 0, 0]),
        math.pi * 0.8 / 3 * (0.25 + 0.1 + 0.04),
        math.pi * (0.7 * math.hypot(0.8, 0.3) + 0.29),
    ),
    "ball": (Solid(False, [0.5] * 3, [0, 0, 0], rounding=0.5), math.pi / 6, math.pi),
    "ring": (
        Solid(True, [0.6, 0.2, 0.6], [0, 0, 0], rounding=0.2),
        math.pi * 0.16 * 0.4 + math.pi**2 * 0.4 * 0.04 + 4 / 3 * math.pi * 0.008,
        2 * math.pi * 0.16 + 2 * math.pi**2 * 0.4 * 0.2 + 4 * math.pi * 0.04,
    ),
    "sheared box": (Solid(False, [0.3, 0.4, 0.3], [0, 0, 0], SHEAR), 8 * 0.036, None),
}
PIECES = [furniture(number) for number in range(160)]


def draws(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def grids():
    centres = (2 * np.arange(64) + 1) / 64 - 1
    z, y, x = np.meshgrid(centres, centres, centres, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    return [inside(build(piece), points).reshape(64, 64, 64) for piece in PIECES]


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_have_their_volume_and_area(name):
    solid, volume, area = SOLIDS[name]
    points = draws().uniform(-1, 1, (200_000, 3))
    assert 8 * inside([solid], points).mean() == pytest.approx(volume, rel=0.03)
    if area is not None:
        found, normals = surface([solid], 20_000, draws(1))
        assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)))
        # The divergence theorem: a third of the mean of x n over the surface, times its area, is the volume.
        heights = ((found - solid.centre) * normals).sum(axis=1)
        assert area / 3 * heights.mean() == pytest.approx(volume, rel=0.01)


@pytest.mark.parametrize("name", SOLIDS)
def test_surface_points_are_on_the_surface_and_normals_point_outwards(name):
    solid = SOLIDS[name][0]
    found, normals = surface([solid], 500, draws())
    assert np.abs(solid.distance(found)).max() < 1e-9
    assert inside([solid], found - 1e-4 * normals).all()
    assert not inside([solid], found + 1e-4 * normals).any()


@pytest.mark.parametrize("name", [name for name in SOLIDS if name not in ("cone", "sheared box")])
def test_distances_are_those_to_the_nearest_surface_point(name):
    solid = SOLIDS[name][0]
    found, _ = surface([solid], 20_000, draws())
    points = draws(1).uniform(-1, 1, (50, 3))
    nearest = np.linalg.norm(points[:, None] - found[None], axis=2).min(axis=1)
    assert nearest == pytest.approx(np.abs(distance([solid], points)), abs=0.02)


@pytest.mark.parametrize("name", SOLIDS)
def test_bounds_are_tight(name):
    solid = SOLIDS[name][0]
    low, high = bounds([solid])
    found, _ = surface([solid], 40_000, draws())
    assert (found >= low - 1e-9).all()
    assert (found <= high + 1e-9).all()
    assert found.min(axis=0) == pytest.approx(low, abs=0.03)
    assert found.max(axis=0) == pytest.approx(high, abs=0.03)


def test_a_sheared_surface_is_sampled_evenly():
    solid = Solid(False, [0.3, 0.4, 0.3], [0, 0, 0], np.array([[1.0, 1.5, 0.0], [0.0, 1.0, 0.0], [0.0, -0.2, 1.0]]))
    _, normals = surface([solid], 40_000, draws())
    found = [(np.abs(normals[:, 1]) > 0.999).mean(), (np.abs(normals[:, 2]) > 0.9).mean()]
    # Two level faces are as before; of the leaning ones, one pair leans by 1.5 and the other by 0.2.
    areas = np.array([0.36, 0.48 * math.hypot(1, 0.2), 0.48 * math.hypot(1, 1.5)])
    assert found == pytest.approx(areas[:2] / areas.sum(), abs=0.01)


def test_a_stretched_cylinder_is_sampled_evenly():
    oval = Solid(True, [0.4, 0.3, 0.4], [0, 0, 0], np.diag([1.0, 1.0, 0.5]))
    found, normals = surface([oval], 40_000, draws())
    around = 4 * 0.4 * special.ellipe(1 - 0.25)  # of an ellipse, by the complete elliptic integral
    areas = np.array([2 * math.pi * 0.4 * 0.2, around * 0.6])
    flat = np.abs(normals[:, 1]) > 0.5
    assert flat.mean() == pytest.approx(areas[0] / areas.sum(), abs=0.01)
    turn = np.arccos(np.abs(found[~flat, 0]) / 0.4)
    part = special.ellipeinc(0.5, -3.0) * 0.2  # of the arc from the x axis to the angle 0.5
    assert (turn < 0.5).mean() == pytest.approx(4 * part / around, abs=0.01)


def test_hidden_faces_get_no_points_and_shared_ones_only_once():
    one = Solid(False, [0.5, 0.5, 0.5], [0, 0, 0])
    other = Solid(False, [0.5, 0.5, 0.5], [0.5, 0, 0])  # four of its faces lie in the planes of the first
    found, normals = surface([one, other], 30_000, draws())
    assert found[:, 0].max() == pytest.approx(1.0)
    inner = (np.abs(normals[:, 0]) > 0.5) & (np.abs(found[:, 0] - 0.5) < 0.4)
    assert (np.abs(found[inner, 1:]).max(axis=1, initial=0.5) > 0.5 - 2e-5).all()
    # The union is a box 1.5 long: its points are as dense in the middle, where both have faces, as at the ends.
    along = found[np.abs(normals[:, 1]) > 0.5, 0]
    counts = np.histogram(along, bins=3, range=(-0.5, 1.0))[0]
    assert counts / len(along) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_shapes_are_normalised():
    for piece in PIECES[:60]:
        low, high = bounds(build(piece))
        assert low + high == pytest.approx(np.zeros(3), abs=1e-9)
        assert (high - low).max() == pytest.approx(1.8)


def test_normalising_keeps_the_form():
    solids = [SOLIDS["rounded box"][0], SOLIDS["ring"][0]]
    moved = normalised(solids, 0.9)
    low, high = bounds(solids)
    scale = 1.8 / (high - low).max()
    points = draws().uniform(-1, 1, (5000, 3))
    assert (inside(moved, (points - (low + high) / 2) * scale) == inside(solids, points)).all()


def test_furniture_is_the_same_left_and_right():
    points = draws().uniform(-1, 1, (4000, 3))
    for piece in PIECES[:80]:
        solids = build(piece)
        assert (inside(solids, points) == inside(solids, points * [-1, 1, 1])).all(), piece.name


def test_parts_can_be_resolved_by_64_cells():
    """Of each part, the thinnest side is at least 0.05 of the longest side: more than 3 cells of 64."""
    for piece in PIECES:
        for solid in build(piece):
            sides = 2 * solid.size * np.linalg.norm(solid.frame, axis=0)
            assert sides.min() > 0.05 * 1.8, piece.name


def test_furniture_is_one_piece(grids):
    from scipy import ndimage

    for piece, grid in zip(PIECES, grids, strict=True):
        assert ndimage.label(grid)[1] == 1, piece.name


def test_a_number_is_the_same_piece_whenever_it_is_drawn():
    assert furniture(42) == furniture(42)
    assert PIECES[42].name == furniture(42).name
    assert (PIECES[0].kind, PIECES[0].height, PIECES[2].kind, PIECES[2].slab) == ("chair", 2.1, "stool", 0.15)


def test_all_classes_and_forms_occur():
    counts = Counter(piece.kind for piece in PIECES)
    assert set(counts) == set(CLASSES)
    assert min(counts.values()) > 10
    assert {piece.back for piece in PIECES} == set(BACKS)
    assert {piece.legs for piece in PIECES} == {0, 3, 4, 6}
    assert {piece.boards for piece in PIECES} >= {0, 1, 2, 3, 4, 5, 6}


def test_pieces_that_differ_in_little_share_a_key_and_others_do_not():
    from attrs import evolve

    table = next(piece for piece in PIECES if piece.kind == "table" and piece.support == "legs")
    assert evolve(table, depth=0.97, height=table.height + 0.01, soft=not table.soft).key == table.key
    assert evolve(table, legs=5).key != table.key
    assert len({piece.key for piece in PIECES}) > len(PIECES) / 2


def wanted(piece):
    """Properties of a piece from its parameters, for those that a piece of its class has."""
    if piece.kind == "shelf":
        found = {"boards": piece.boards, "closed": piece.closed, "divided": piece.divided}
        return found | {"panels": piece.support == "panels"} | ({"legs": 4} if piece.support == "legs" else {})
    found = {"legs": {"legs": piece.legs, "pedestal": 1, "panels": 2}[piece.support]}
    found |= {"panels": piece.support == "panels", "back": piece.back != "none", "arms": piece.arms}
    found |= {"round": piece.top == "round", "long": piece.top == "long", "square": piece.top == "square"}
    if piece.kind == "table" and piece.support == "legs":
        found["lower"] = piece.boards == 1
    return found


def test_what_is_measured_is_what_was_built(grids):
    right, total = Counter(), Counter()
    for piece, grid in zip(PIECES, grids, strict=True):
        found = measure(grid)
        for name, value in wanted(piece).items():
            total[name] += 1
            right[name] += getattr(found, name) == value
    assert set(total) == {
        "legs",
        "panels",
        "back",
        "arms",
        "round",
        "long",
        "square",
        "lower",
        *("boards", "closed"),
        "divided",
    }
    shares = {name: right[name] / total[name] for name in total}
    assert min(shares.values()) >= 0.97, shares


def test_proportions_are_measured(grids):
    for piece, grid in zip(PIECES, grids, strict=True):
        low, high = bounds(build(piece))
        width, height, depth = high - low
        assert measure(grid).proportion == pytest.approx(height / max(width, depth), rel=0.06), piece.name


def test_nothing_has_no_properties():
    assert measure(np.zeros((8, 8, 8), dtype=bool)) == EMPTY
    assert measure(np.ones((8, 8, 8), dtype=bool)).proportion == 1


def test_all_captions_are_true(grids):
    named, held = Counter(), Counter()
    for piece, grid in zip(PIECES, grids, strict=True):
        found = measure(grid)
        for text in captions(piece):
            for name, holds in adherence(text, found).items():
                named[name] += 1
                held[name] += holds
    assert set(named) == {"legs", "top", "back", "arms", "lower", "closed", "divided", "sides", "boards", "stature"}
    shares = {name: held[name] / named[name] for name in named}
    assert min(shares.values()) >= 0.97, shares


def test_captions_of_another_piece_are_found_out(grids):
    """A sentence about another piece agrees clearly less often."""
    held = []
    for piece, grid in zip(PIECES[1:] + PIECES[:1], grids, strict=True):
        held += adherence(captions(piece)[-1], measure(grid)).values()
    assert 0.3 < np.mean(held) < 0.8


def test_captions_differ_and_name_the_class():
    for piece in PIECES:
        texts = captions(piece)
        assert 6 <= len(texts) <= 10
        assert len(set(texts)) == len(texts)
        assert all(piece.kind in text for text in texts)
        assert texts == captions(piece)
        assert not any(("slim" in text or "thick" in text) and not piece.sturdy for text in texts)
        assert not any("slanted" in text and not piece.splayed for text in texts)
        assert not any("round legs" in text and piece.leg == "square" for text in texts)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a low round table with three legs", {"legs", "top", "stature"}),
        ("a tall chair with arms", {"arms", "stature"}),
        ("a stool with four round legs", {"legs"}),
        ("a shelf with an open back", {"closed"}),
        ("a chair with a round back", {"back"}),
        ("something else", set()),
    ],
)
def test_sentences_claim_what_they_say(text, names):
    assert set(adherence(text, EMPTY)) == names


def test_the_split_keeps_keys_apart(monkeypatch, tmp_path):
    from ddmi_core.sources import array_cache as kept
    from ddmi_occupancy.settings import OccupancySettings

    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / name)
    settings = OccupancySettings(count=120, surface=64, points=64)
    split = source.load(None, settings)
    numbers = [[int(name.split("-")[1]) for name in part.names] for part in (split.train, split.held_out)]
    assert sorted(numbers[0] + numbers[1]) == list(range(120))
    keys = [{PIECES[number].key for number in part} for part in numbers]
    assert keys[1]
    assert not keys[0] & keys[1]
    assert split.train.classes == CLASSES
    for part in (split.train, split.held_out):
        for name, label, texts in zip(part.names, part.labels.tolist(), part.captions, strict=True):
            assert name.startswith(CLASSES[label])
            assert CLASSES[label] in texts[0]
    again = source.load(None, settings)
    assert again.train.fingerprint() == split.train.fingerprint()
    assert len(list((tmp_path / "ddmi" / "furniture").glob("*.npy"))) == 1
    monkeypatch.setattr(kept, "user_cache_path", lambda name: tmp_path / "other" / name)
    assert source.load(None, settings).held_out.fingerprint() == split.held_out.fingerprint()
