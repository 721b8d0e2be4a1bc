"""Pinhole cameras: rays, places of points, conventions and JSON."""

import json
import math

import numpy as np
import pytest
import torch

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, from_json, to_json
from ddmi_nerf.cameras.conventions import flipped, rigid


def random_camera(seed=0, width=48, height=32):
    draw = np.random.default_rng(seed)
    camera = Camera.orbit(draw.uniform(0, 360), draw.uniform(-60, 60), 2.5, width=width, height=height)
    return Camera(camera.to_world, 40.0, 44.0, 22.5, 17.25, width, height)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "place"),
    [
        (0, 0, (0, -2, 0)),
        (90, 0, (2, 0, 0)),
        (180, 0, (0, 2, 0)),
        (30, 90, (0, 0, 2)),
        (0, -30, (0, -math.sqrt(3), -1)),
    ],
)
def test_orbits_stand_where_their_angles_say_and_look_at_the_origin(azimuth, elevation, place):
    camera = Camera.orbit(azimuth, elevation, 2.0, width=20, height=10)
    np.testing.assert_allclose(camera.origin, place, atol=1e-12)
    pixel, depth = camera.project(np.zeros((1, 3)))
    np.testing.assert_allclose(pixel, [[10, 5]], atol=1e-9)
    assert depth[0] == pytest.approx(2.0)


def test_up_is_up_and_right_is_right():
    camera = Camera.orbit(0, 0, 3.0)
    (right, high, away), _ = camera.project(np.array([[0.5, 0, 0], [0, 0, 0.5], [0, 0.5, 0]]))
    assert right[0] > 32 + 5
    assert right[1] == pytest.approx(32)
    assert high[1] < 32 - 5
    assert high[0] == pytest.approx(32)
    assert away == pytest.approx([32, 32])


def test_field_of_view_is_seen_from_border_to_border():
    camera = Camera.orbit(0, 0, 1.0, width=80, height=40, field_of_view=90)
    assert camera.fx == camera.fy == pytest.approx(20)


def test_rays_pass_through_the_centres_of_pixels():
    camera = random_camera()
    origins, directions = camera.rays()
    assert origins.shape == directions.shape == (32 * 48, 3)
    assert origins.dtype == directions.dtype == torch.float32
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(32 * 48))
    pixels, depth = camera.project((origins + 1.7 * directions).double().numpy())
    rows, columns = np.divmod(np.arange(32 * 48), 48)
    np.testing.assert_allclose(pixels, np.stack([columns + 0.5, rows + 0.5], axis=1), atol=1e-3)
    assert (depth > 0).all()


def test_points_behind_a_camera_have_no_place():
    pixels, depth = Camera.orbit(0, 0, 1.0).project(np.array([[0.0, -2.0, 0.0]]))
    assert np.isnan(pixels).all()
    assert depth[0] < 0


def test_a_small_ball_is_seen_where_its_centre_projects():
    centre, radius = np.array([0.3, -0.2, 0.4]), 0.12
    camera = Camera.orbit(35, 20, 2.5, width=120, height=90)
    origins, directions = (part.double().numpy() for part in camera.rays())
    nearest = np.linalg.norm(np.cross(centre - origins, directions), axis=1)
    seen = np.flatnonzero(nearest < radius)
    rows, columns = np.divmod(seen, 120)
    (place,), _ = camera.project(centre[None])
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], place, atol=0.35)
    distance = np.linalg.norm(centre - camera.origin)
    angle = math.asin(radius / distance)
    assert len(seen) == pytest.approx(math.pi * (camera.fx * math.tan(angle)) ** 2, rel=0.05)


def test_resized_cameras_see_the_same():
    camera, points = random_camera(), np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))
    larger = camera.resized(96, 128)
    np.testing.assert_allclose(larger.project(points)[0], camera.project(points)[0] * [2, 4])


def test_cropped_cameras_see_a_part():
    camera = random_camera()
    part = camera.cropped(10, 4, 20, 15)
    whole = camera.directions().reshape(32, 48, 3)
    np.testing.assert_allclose(part.directions().reshape(15, 20, 3), whole[4:19, 10:30])


def test_placed_cameras_see_the_cube_where_the_part_of_the_world_was():
    camera, points = random_camera(), np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))
    centre, extent = np.array([0.1, 0.2, -0.3]), 0.7
    pixels, depth = camera.placed(centre, extent).project((points - centre) / extent)
    expected, far = camera.project(points)
    np.testing.assert_allclose(pixels, expected)
    np.testing.assert_allclose(depth * extent, far)


def test_flipping_turns_blenders_camera_to_ours_and_back():
    blender = np.eye(4)  # Blender's camera at rest looks down: x right, y up, z backwards
    blender[2, 3] = 4.0
    camera = Camera(flipped(blender), 30, 30, 16, 16, 32, 32)
    pixels, depth = camera.project(np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(pixels, [[16, 16], [16, 8.5], [23.5, 16]])
    np.testing.assert_allclose(depth, 4.0)
    np.testing.assert_array_equal(flipped(flipped(blender)), blender)


def test_json_keeps_cameras():
    cameras = [random_camera(seed) for seed in range(3)]
    again = from_json(to_json(cameras), "cameras.json")
    assert json.loads(to_json(cameras))["convention"] == "opencv"
    for before, after in zip(cameras, again, strict=True):
        np.testing.assert_allclose(after.to_world, before.to_world, atol=1e-14)
        assert after.intrinsics == before.intrinsics
        assert (after.width, after.height) == (before.width, before.height)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "not a JSON camera file"),
        ('{"convention": "opengl", "cameras": []}', "convention 'opengl'"),
        ('{"convention": "opencv", "cameras": [{"fx": 1}]}', "camera 0 has no 'fy'"),
        (
            '{"convention": "opencv", "cameras": [{"fx": 0, "fy": 1, "cx": 0, "cy": 0, "width": 1, "height": 1,'
            ' "to_world": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]}',
            "camera 0 is invalid: focal length fx is 0",
        ),
    ],
)
def test_wrong_json_is_told(text, words):
    with pytest.raises(DataError) as caught:
        from_json(text, "cameras.json")
    assert "cameras.json: " in str(caught.value)
    assert words in str(caught.value)


SKEWED = np.array([[1.0, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (np.eye(3), "shape"),
        ([["a"] * 4] * 4, "not a matrix"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.ones((4, 4)), "last row"),
        (np.diag([1.0, 1, 0, 1]), "singular"),
        (np.diag([0.0, 0, 0, 1]), "singular"),
        (SKEWED, "orthogonal"),
        (np.diag([1.0, 1, -1, 1]), "mirrored"),
    ],
)
def test_poses_that_are_none_are_told(pose, words):
    with pytest.raises(ValueError, match=words):
        rigid(pose)


@pytest.mark.parametrize(
    "wrong",
    [
        {"elevation": 95},
        {"distance": -2},
        {"field_of_view": 180},
        {"width": 0},
        {"height": 0},
        {"azimuth": float("nan")},
        {"distance": float("inf")},
    ],
)
def test_orbits_out_of_range_are_told(wrong):
    ((name, _),) = wrong.items()
    with pytest.raises(ValueError, match=f"^{name}="):
        Camera.orbit(**{"azimuth": 0, "elevation": 0, "distance": 2, **wrong})


def test_scale_of_a_pose_is_taken_away():
    camera = random_camera()
    pose = camera.to_world.copy()
    pose[:3, :3] *= 3.7
    np.testing.assert_allclose(rigid(pose), camera.to_world, atol=1e-12)
    np.testing.assert_allclose(rigid(pose[:3]), camera.to_world, atol=1e-12)
