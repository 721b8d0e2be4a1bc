"""The visual hull of silhouettes, and coloured points on it."""

import attrs
import numpy as np
import pytest

from ddmi_nerf.data.cars import car
from ddmi_nerf.data.cars.solids import Ellipsoid, block
from ddmi_nerf.data.cars.source import cameras, picture
from ddmi_nerf.data.cars.tracing import Model, Paint, Part, light
from ddmi_nerf.data.visual_hull import hull_points, visual_hull

CENTRE, RADIUS = np.array([0.2, -0.1, 0.15]), 0.45
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def ball():
    paint = Paint(block(x=(0.2, 1.0)), BLUE)
    model = Model((Part(Ellipsoid(CENTRE, [RADIUS] * 3), RED, (paint,)),), np.ones(3))
    seen = cameras(24, 64, np.random.default_rng(0))
    return seen, np.stack([picture(model, camera) for camera in seen])


def test_the_hull_of_a_ball_is_a_ball(ball):
    hull = visual_hull(*ball, cells=32)
    places = (2 * np.arange(32) + 1) / 32 - 1
    points = np.stack(np.meshgrid(places, places, places, indexing="ij"), axis=-1)
    distance = np.linalg.norm(points - CENTRE, axis=-1)
    assert hull[distance < RADIUS - 0.03].all()
    assert not hull[distance > RADIUS + 0.2].any()
    assert hull.sum() == pytest.approx((distance < RADIUS).sum(), rel=0.15)


def test_points_lie_on_the_ball_and_have_its_colours(ball):
    hull = visual_hull(*ball)
    points, colours = hull_points(*ball, hull, 3000, np.random.default_rng(0))
    assert points.shape == colours.shape == (3000, 3)
    outwards = points - CENTRE
    distance = np.linalg.norm(outwards, axis=1)
    assert abs(np.median(distance) - RADIUS) < 0.02
    assert (np.abs(distance - RADIUS) < 0.12).mean() > 0.95
    clear = np.abs(points[:, 0] - 0.2) > 0.08
    expected = np.where(points[:, :1] > 0.2, BLUE, RED) * light(outwards.T / distance)[:, None]
    assert np.abs(colours - expected)[clear].mean() < 0.03


def test_points_of_a_car_lie_near_its_surface():
    one = car(3)
    seen = cameras(24, 64, np.random.default_rng(0))
    pictures = np.stack([picture(one.model, camera) for camera in seen])
    points, colours = hull_points(seen, pictures, visual_hull(seen, pictures), 2000, np.random.default_rng(0))
    surface, exact, _ = one.surface(4000, np.random.default_rng(1))
    between = np.linalg.norm(points[:, None] - surface, axis=-1)
    assert between.min(axis=1).mean() < 0.05
    assert between.min(axis=0).mean() < 0.06
    assert np.abs(colours - exact[between.argmin(axis=1)]).mean() < 0.12


def test_few_cells_give_as_many_points_as_asked(ball):
    hull = np.zeros((64, 64, 64), dtype=bool)
    hull[40:42, 30:32, 36:38] = True
    points, colours = hull_points(*ball, hull, 100, np.random.default_rng(0))
    assert points.shape == colours.shape == (100, 3)
    assert (np.floor((points + 1) * 32).min(axis=0) >= [40, 30, 36]).all()


def test_cells_that_no_camera_sees_are_not_in_the_hull(ball):
    seen, pictures = ball
    narrow = [camera.cropped(32, 32, 4, 4) for camera in seen[:3]]
    full = np.full((3, 4, 4, 4), 255, dtype=np.uint8)
    assert visual_hull(narrow, full, cells=16).mean() < 0.1
    assert pictures.shape[0] == 24


@pytest.mark.parametrize("focal", [1e30, 1e300])
def test_a_focal_length_beyond_all_pictures_gives_colours_still(ball, focal):
    seen, pictures = ball
    extreme = [attrs.evolve(seen[0], fx=focal, fy=focal), *seen[1:4]]
    hull = visual_hull(seen[1:4], pictures[1:4], cells=16)
    _, colours = hull_points(extreme, pictures[:4], hull, 50, np.random.default_rng(0))
    assert colours.shape == (50, 3)
    assert ((colours >= 0) & (colours <= 1)).all()
