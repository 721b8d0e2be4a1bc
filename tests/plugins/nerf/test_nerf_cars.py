"""Solids that rays meet, cars made of them, what is said of them, and the default source."""

import math

import attrs
import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.cars import car, source
from ddmi_nerf.data.cars.parameters import COLOURS, KINDS
from ddmi_nerf.data.cars.solids import Cylinder, Ellipsoid, bevelled, block, flanks, profile
from ddmi_nerf.data.cars.source import DISTANCE, ELEVATIONS, cameras, picture
from ddmi_nerf.data.cars.tracing import Model, Paint, Part, light
from ddmi_nerf.settings import NerfSettings

SLOPED = [(-0.5, -0.3), (0.6, -0.3), (0.4, 0.2), (-0.2, 0.4)]
SOLIDS = {
    "box": block((-0.4, 0.5), (-0.3, 0.2), (-0.1, 0.6)),
    "bevelled body": bevelled(profile(SLOPED), flanks(0.4, 0.3, 0.0), 0.06),
    "wheel": Cylinder([0.1, -0.2, 0.0], 0.4, 0.15),
    "column": Cylinder([0.1, -0.2, 0.0], 0.2, 0.5, axis=2),
    "spare wheel": Cylinder([0.1, -0.2, 0.0], 0.4, 0.15, axis=0),
    "ellipsoid": Ellipsoid([0.1, 0.1, -0.2], [0.5, 0.2, 0.3]),
}
RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
CARS = [car(number) for number in range(40)]
EACH = {one.kind: one for one in reversed(CARS)}


def draws(seed=0):
    return np.random.default_rng(seed)


def lines(n, seed=0):
    """Lines from outside through the middle of the cube."""
    draw = draws(seed)
    origins = draw.standard_normal((3, n))
    origins *= 3 / np.linalg.norm(origins, axis=0)
    directions = draw.uniform(-0.8, 0.8, (3, n)) - origins
    return origins, directions / np.linalg.norm(directions, axis=0)


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_enter_solids_where_their_inside_begins(name):
    solid, (origins, directions) = SOLIDS[name], lines(600)
    entered = solid.meet(origins, directions)
    steps = np.linspace(0.5, 5.5, 1001)
    along = origins[:, None] + steps[:, None] * directions[:, None]
    inside = solid.contains(along.reshape(3, -1)).reshape(1001, 600)
    expected = np.where(inside.any(axis=0), steps[inside.argmax(axis=0)], np.inf)
    found = np.isfinite(expected)
    assert 40 < found.sum() < 560
    assert np.isfinite(entered[found]).all()
    np.testing.assert_allclose(entered[found], expected[found] - 0.0025, atol=0.0026)
    grazing = np.isfinite(entered) & ~found  # between two steps
    assert grazing.sum() < 10
    hit = np.isfinite(entered)
    points = origins[:, hit] + entered[hit] * directions[:, hit]
    assert solid.contains(points + 1e-6 * directions[:, hit]).mean() > 0.99
    assert not solid.contains(points - 1e-6 * directions[:, hit]).any()


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_point_outwards_at_right_angles(name):
    solid, (origins, directions) = SOLIDS[name], lines(400, 1)
    entered = solid.meet(origins, directions)
    hit = np.isfinite(entered)
    points = origins[:, hit] + entered[hit] * directions[:, hit]
    normals = solid.normals(points)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=0), 1)
    aside = np.cross(normals, draws().standard_normal(normals.shape), axis=0)
    for sign in (-1, 1):
        assert not solid.contains(points + 1e-4 * normals + sign * 1e-5 * aside).any()
        assert solid.contains(points - 1e-4 * normals + sign * 1e-5 * aside).mean() > 0.97


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_of_one_origin_meet_the_same(name):
    directions = lines(300)[1]
    origin = np.array([[2.0], [-1.5], [1.0]])
    aimed = -origin + 0.8 * directions
    many = SOLIDS[name].meet(np.repeat(origin, 300, axis=1), aimed)
    one = SOLIDS[name].meet(origin, aimed)
    assert 20 < np.isfinite(one).sum() < 300
    np.testing.assert_allclose(one, many)


@pytest.mark.parametrize("name", SOLIDS)
def test_scaled_solids_are_elsewhere_and_larger(name):
    points, move = draws().uniform(-1, 1, (3, 500)), np.array([0.1, -0.2, 0.3])
    inside = SOLIDS[name].contains(points)
    assert 5 < inside.sum() < 495
    moved = (points + move[:, None]) * 2.5
    np.testing.assert_array_equal(SOLIDS[name].scaled(2.5, move).contains(moved), inside)


def test_a_ball_covers_the_area_that_it_takes():
    model = Model((Part(Ellipsoid([0, 0, 0], [0.5] * 3), RED),), np.full(3, 0.5))
    camera = Camera.orbit(20, 30, 2.0, width=64, height=64)
    seen = picture(model, camera)
    area = math.pi * (camera.fx * math.tan(math.asin(0.25))) ** 2
    assert seen[..., 3].sum() / 255 == pytest.approx(area, rel=0.01)
    assert 0 < ((seen[..., 3] > 0) & (seen[..., 3] < 255)).sum() < 200
    assert (seen[..., 0] <= seen[..., 3]).all()
    assert not seen[..., 1:3].any()


def test_the_nearer_part_hides_the_other_and_paint_covers_a_part_of_it():
    upper = Paint(block(z=(0.0, 1.0)), GREEN)
    near, far = block((0.2, 0.4), (-0.5, 0.5), (-0.5, 0.5)), block((-0.4, -0.2), (-1, 1), (-0.5, 0.5))
    model = Model((Part(far, GREEN), Part(near, RED, (upper,))), np.ones(3))
    heights, sides = np.array([-0.3, 0.3, -0.3]), np.array([0.0, 0.0, 0.8])
    origins = np.stack([np.full(3, 2.0), sides, heights], axis=1)
    hits = model.trace(origins, np.tile([-1.0, 0, 0], (3, 1)))
    np.testing.assert_allclose(hits.depth, [1.6, 1.6, 2.2])
    np.testing.assert_array_equal(hits.colour > 0, [[True, False, False], [False, True, False], [False, True, False]])
    np.testing.assert_array_equal(hits.normal, np.tile([1.0, 0, 0], (3, 1)))
    missed = model.trace(origins, np.tile([1.0, 0, 0], (3, 1)))
    assert not missed.opacity.any()
    assert np.isinf(missed.depth).all()


def test_light_comes_from_above():
    up, side, down = light(np.array([[0.0, 1, 0], [0, 0, 0], [1, 0, -1]]))
    assert 1 >= up > side > down > 0.3


def test_all_kinds_are_there():
    assert set(EACH) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_cars_fill_the_cube_along_x_and_stay_within_their_room(kind):
    one = EACH[kind]
    points, colours, normals = one.surface(6000, draws())
    assert points.shape == colours.shape == normals.shape == (6000, 3)
    assert (np.abs(points) <= one.model.reach).all()
    assert points[:, 0].max() == pytest.approx(0.9, abs=0.01)
    assert points[:, 0].min() == pytest.approx(-0.9, abs=0.01)
    assert colours.min() >= 0
    assert colours.max() <= 1
    for part in one.model.parts:
        inside = part.solid.contains(points.T - 1e-6 * normals.T)
        outside = ~part.solid.contains(points.T + 1e-6 * normals.T)
        assert outside[inside].all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_place_looks_like_does_not_depend_on_where_it_is_seen_from(kind):
    one = EACH[kind]
    points, colours, normals = one.surface(800, draws())
    camera = Camera.orbit(40, 25, 2.6)
    ways = points - camera.origin
    hits = one.trace(camera.origin, ways)
    seen = np.abs(hits.depth - 1) < 1e-6
    assert 100 < seen.sum() < 700
    np.testing.assert_allclose(hits.colour[seen], colours[seen])
    np.testing.assert_allclose(hits.normal[seen], normals[seen], atol=1e-9)
    assert (hits.depth[~seen] < 1).all()


def test_cars_stand_on_wheels_and_face_x():
    for one in CARS:
        points, _, _ = one.surface(4000, draws())
        lowest = points[points[:, 2] < points[:, 2].min() + 0.02]
        assert np.ptp(lowest[:, 0]) > 0.5
    sedan = EACH["sedan"]
    above = np.stack([np.linspace(-0.8, 0.8, 50), np.zeros(50), np.full(50, 1.0)], axis=1)
    heights = 1 - sedan.trace(above, np.tile([0.0, 0, -1], (50, 1))).depth
    assert heights[-10:].mean() < heights[:10].mean() < heights[20:25].mean()  # bonnet, boot, roof


def test_names_lead_to_cars_and_differ():
    assert len({one.name for one in CARS}) == len(CARS)
    for one in CARS:
        assert car(one.name).parameters == one.parameters


@pytest.mark.parametrize("which", ["bicycle-0001", "sedan", "sedan-1", "truck-9999x", -1])
def test_cars_that_there_are_not_are_told(which):
    with pytest.raises(DataError, match="unknown car"):
        car(which)


def test_captions_name_the_kind_first_and_all_of_them_are_different():
    for one in CARS:
        assert one.captions[0] == f"a {one.kind}"
        assert len(set(one.captions)) == len(one.captions) >= 2
        assert all(one.kind in text for text in one.captions)


def test_colours_in_captions_can_be_seen():
    for one in CARS:
        full = one.captions[-1]
        parts = {part.colour for part in one.model.parts}
        painted = {paint.colour for part in one.model.parts for paint in part.paints}
        named = [word for word in full.split() if word in COLOURS]
        assert named[0] == one.parameters.colour
        assert one.parameters.paint in parts
        assert all(COLOURS[word] in parts | painted for word in named[1:])
        assert ("stripe" in full) == bool(one.parameters.stripe)
        assert ("rack" in full) == one.parameters.rack
        assert ("spoiler" in full) == one.parameters.spoiler
        assert ("spare" in full) == one.parameters.spare


def test_cameras_are_spread_over_the_upper_sphere_and_begin_alike():
    many = cameras(50, 16, draws())
    again = cameras(20, 16, draws())
    places = np.array([camera.origin for camera in many])
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), DISTANCE)
    np.testing.assert_array_equal(places[:20], [camera.origin for camera in again])
    elevations = np.degrees(np.arcsin(places[:, 2] / DISTANCE))
    assert ELEVATIONS[0] <= elevations.min() < 0 < 60 < elevations.max() <= ELEVATIONS[1]
    gaps = np.linalg.norm(places[:20, None] - places[None, :20], axis=2) + 10 * np.eye(20)
    assert gaps.min() > 0.25 * DISTANCE


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return NerfSettings(count=24, size=16, views=3, held_views=2, shown=2, points=64)


def test_the_source_gives_cars_as_they_are(small):
    split = source.load(None, small)
    assert len(split.train) + len(split.held_out) == 24
    assert split.train.classes == KINDS
    name = split.train.names[0]
    shown = split.train.batch([0])
    one = car(name)
    assert split.train.classes[int(split.train.labels[0])] == one.kind
    assert tuple(split.train.captions[0]) == one.captions
    camera = Camera(shown.to_world[0, 0].double().numpy(), *shown.intrinsics[0, 0].tolist(), 16, 16)
    expected = picture(one.model, camera)
    opaque = expected[..., 3] / 255
    np.testing.assert_allclose(shown.opacity[0, 0, 0], opaque, atol=1 / 255 + 1e-6)
    over_white = expected[..., :3] / 255 + 1 - opaque[..., None]
    np.testing.assert_allclose(shown.images[0, 0].movedim(0, -1), over_white * 2 - 1, atol=0.02)
    points = shown.points[0].numpy().astype(np.float64)
    hits = one.trace(3 * camera.origin, points - 3 * camera.origin)
    assert (hits.depth < 1 + 1e-3).all()  # no point is before the surface


def test_the_source_keeps_what_it_made(small, monkeypatch):
    first = source.load(None, small).train.fingerprint()
    monkeypatch.setattr(source, "pack", None)
    assert source.load(None, small).train.fingerprint() == first


def test_equal_keys_are_on_one_side(small):
    split = source.load(None, small)
    sides = [{car(name).parameters.key for name in part.names} for part in (split.train, split.held_out)]
    assert not sides[0] & sides[1]


def test_a_limit_takes_so_many(small):
    split = source.load(None, attrs.evolve(small, limit=9))
    assert len(split.train) + len(split.held_out) == 9


def test_cars_that_look_different_have_another_number_in_the_fingerprint():
    """Mean premultiplied colour and opacity of the first cars. Where they change, `DRAWN_BY` must change too."""
    seen = cameras(3, 32, draws())
    means = [np.stack([picture(one.model, camera) for camera in seen]).mean((0, 1, 2)) / 255 for one in CARS[:8]]
    expected = {
        "cars 1": [
            [0.1652, 0.0774, 0.0245, 0.2277],
            [0.0319, 0.1059, 0.0652, 0.2209],
            [0.1462, 0.0858, 0.0326, 0.2529],
            [0.1191, 0.1209, 0.1211, 0.1820],
            [0.0351, 0.0627, 0.1489, 0.2598],
            [0.1218, 0.1251, 0.1298, 0.2415],
            [0.1510, 0.0948, 0.1190, 0.2202],
            [0.1268, 0.1112, 0.0328, 0.1882],
        ]
    }
    assert np.allclose(means, expected[source.DRAWN_BY], atol=5e-4)
