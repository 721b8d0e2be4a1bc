"""Cameras in files: what is read, what is written, and what is refused."""

import json
import math

import numpy as np
import pytest

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.camera_checks import check_centres
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.srn import read_srn, write_srn
from ddmi_nerf.cameras.transforms import list_frames, read_transforms, write_blender, write_nerfstudio

WIDTH, HEIGHT = 40, 30


def made(seed, focal=(35.5, 35.5)):
    draw = np.random.default_rng(seed)
    orbit = Camera.orbit(draw.uniform(0, 360), draw.uniform(-80, 80), draw.uniform(1, 4))
    return Camera(orbit.to_world, *focal, 20.25, 14.5, WIDTH, HEIGHT)


def header_of(picture):
    return Header(WIDTH, HEIGHT)


def through_srn(camera):
    return read_srn(*write_srn(camera), "pose/0.txt", "rgb/0", header_of).camera


def through_blender(camera):
    return read_transforms(write_blender([Shot(camera, "0.png")]), "transforms.json", header_of).shots[0].camera


def through_nerfstudio(camera):
    return read_transforms(write_nerfstudio([Shot(camera, "0.png")]), "transforms.json", header_of).shots[0].camera


WAYS = {"srn": through_srn, "blender": through_blender, "nerfstudio": through_nerfstudio}


def assert_equal(camera, expected):
    np.testing.assert_allclose(camera.to_world, expected.to_world, atol=1e-9)
    np.testing.assert_allclose(camera.intrinsics, expected.intrinsics, rtol=1e-9)
    assert (camera.width, camera.height) == (expected.width, expected.height)


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_cameras_stay_the_same_from_format_to_format(first, second):
    for seed in range(5):
        camera = made(seed)
        assert_equal(WAYS[second](WAYS[first](camera)), camera)


def test_formats_see_a_known_point_at_a_known_pixel():
    # At (0, 0, 3), looking down, the picture's upper side towards +y: a point 1 to the right, 0.5 up, at distance 2.
    point, expected = np.array([[1.0, 0.5, 1.0]]), [[20 + 30 / 2, 15 - 30 * 0.5 / 2]]
    opencv = "1 0 0 0 0 -1 0 0 0 0 -1 3 0 0 0 1"
    opengl = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]
    srn = read_srn("30 20 15 0.\n0. 0. 0.\n1.\n30 40\n", opencv, "pose/0.txt", "rgb/0", header_of).camera
    frame = {"file_path": "0", "transform_matrix": opengl}
    angle = 2 * math.atan(20 / 30)
    blender = json.dumps({"camera_angle_x": angle, "frames": [frame]})
    studio = json.dumps({"camera_model": "OPENCV", "frames": [{**frame, "fl_x": 30, "fl_y": 30}]})
    for camera in (srn, *(read_transforms(text, "t", header_of).shots[0].camera for text in (blender, studio))):
        np.testing.assert_allclose(camera.project(point)[0], expected)


def test_nerfstudio_keeps_different_cameras():
    cameras = [made(0), made(1, (30.0, 33.0))]
    again = read_transforms(write_nerfstudio([Shot(c, f"{i}.png") for i, c in enumerate(cameras)]), "t", header_of)
    for shot, camera in zip(again.shots, cameras, strict=True):
        assert_equal(shot.camera, camera)
    assert [shot.picture for shot in again.shots] == ["0.png", "1.png"]


def test_what_a_format_cannot_say_is_told():
    with pytest.raises(ValueError, match="one focal length"):
        write_srn(made(0, (30.0, 33.0)))
    with pytest.raises(ValueError, match="one camera for all views"):
        write_blender([Shot(made(0), "0.png"), Shot(made(1, (30.0, 30.0)), "1.png")])


@pytest.mark.parametrize(
    "text",
    [
        "30 20 15 0.\n0. 0. 0.\n1.\n30 40\n",
        "30 20 15\n0. 0. 0.\n0.8\n1.\n30 40\n\n",
        "60 40 30 0.\n0. 0. 0.\n1.\n60 80\n0\n",  # for pictures of twice the size
    ],
)
def test_all_forms_of_srn_intrinsics_are_read(text):
    camera = read_srn(text, write_srn(made(0))[1], "pose/0.txt", "rgb/0", header_of).camera
    assert camera.intrinsics == (30, 30, 20, 15)
    assert (camera.width, camera.height) == (WIDTH, HEIGHT)


def test_srn_poses_may_go_from_the_world_to_the_camera():
    camera = made(2)
    inverse = " ".join(map(repr, np.linalg.inv(camera.to_world).ravel().tolist()))
    again = read_srn(write_srn(camera)[0] + "1\n", inverse, "pose/0.txt", "rgb/0", header_of).camera
    assert_equal(again, camera)


@pytest.mark.parametrize(
    ("intrinsics", "pose", "words"),
    [
        ("30 20\n", None, "intrinsics.txt of its object"),
        ("inf 12 12 0\n0 0 0\n1\ninf inf\n", None, "intrinsics.txt"),
        ("30 20 15 0.\n0. 0. 0.\n1.\n40 40\n", None, "another aspect ratio"),
        (None, "1 2 3", "3 numbers instead of 16"),
        (None, "nan " * 16, "not finite"),
        (None, "0 " * 15 + "1", "singular"),
        (None, "a " * 16, "invalid camera"),
        ("0 20 15 0.\n0. 0. 0.\n1.\n30 40\n", None, "focal length"),
    ],
)
def test_srn_files_that_are_none_are_told(intrinsics, pose, words):
    good = write_srn(made(0))
    with pytest.raises(DataError) as caught:
        read_srn(intrinsics or good[0], pose or good[1], "pose/0.txt", "rgb/0", header_of)
    assert "pose/0.txt: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"camera_model": "EQUIRECTANGULAR"},
            "camera model 'EQUIRECTANGULAR' is not supported; undistort the pictures",
        ),
        ({"k5": 0.02}, "distortion k5 = 0.02 is not supported for the camera model OPENCV, only k1, k2, k3, p1, p2"),
        ({"camera_model": "OPENCV_FISHEYE", "p2": 0.1}, "distortion p2 = 0.1 is not supported for the camera model"),
        ({"distortion_params": [0.1, 0.2]}, "give the six numbers k1, k2, k3, k4, p1, p2"),
        ({"k1": -3}, "the distortion cannot be undone"),
        ({"w": "40"}, "w is '40'; give a number"),
        ({"w": 0, "h": 0}, "w and h are 0 x 0"),
        ({"w": 80}, "w and h are 80 x 30, the image has 40 x 30"),
        ({"fl_x": -3}, "focal length fx is -3"),
        ({"cx": float("nan")}, "principal point"),
        ({"aabb_scale": 0}, "aabb_scale"),
        ({"frames": []}, "no list 'frames'"),
        ({"frames": [{"transform_matrix": np.eye(4).tolist()}]}, "frame 0 has no file_path"),
        ({"frames": [{"file_path": "a.png"}]}, "frame 0 (a.png): no transform_matrix"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": np.zeros((4, 4)).tolist()}]}, "last row"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": np.diag([1, 0, 1, 1]).tolist()}]}, "singular"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[float("nan")] * 4] * 4}]}, "not finite"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [1, 2]}]}, "shape"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": np.eye(3).tolist()}]}, "shape (3, 3); give 4 rows"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": None}]}, "no transform_matrix"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[1], [1, 2]]}]}, "not a matrix of numbers"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[10**400] * 4] * 4}]}, "not a matrix of numbers"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[1e300] * 4] * 4}]}, "value of 1e+300"),
        ({"fl_x": "30"}, "fl_x is '30'; give a number"),
        ({"fl_y": [30]}, "fl_y is [30]; give a number"),
        ({"cx": 10**400}, "cx is 'too large'"),
    ],
)
def test_transforms_that_cannot_be_used_are_told(change, words):
    content = json.loads(write_nerfstudio([Shot(made(0), "0.png")]))
    frames = content.pop("frames")
    intrinsics = {key: value for key, value in frames[0].items() if key not in ("file_path", "transform_matrix")}
    frame = {key: frames[0][key] for key in ("file_path", "transform_matrix")}
    text = json.dumps({**content, **intrinsics, "frames": [frame], **change})
    with pytest.raises(DataError) as caught:
        read_transforms(text, "car/transforms.json", header_of)
    assert "car/transforms.json: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("angle", [40, 0, -1, float("nan")])
def test_angles_of_view_are_radians(angle):
    content = json.loads(write_blender([Shot(made(0), "0.png")]))
    content["camera_angle_x"] = angle
    del content["fl_x"]
    with pytest.raises(DataError, match=r"camera_angle_x is .*in radians"):
        read_transforms(json.dumps(content), "car/transforms.json", header_of)


@pytest.mark.parametrize("text", ["{", "[]", '{"frames": 3}', "[" * 100_000])
def test_texts_that_are_no_transforms_are_told(text):
    with pytest.raises(DataError, match="transforms"):
        list_frames(text, "transforms.json")


def test_without_focal_length_is_told():
    text = json.dumps({"frames": [{"file_path": "0.png", "transform_matrix": np.eye(4).tolist()}]})
    with pytest.raises(DataError, match="neither fl_x nor camera_angle_x"):
        read_transforms(text, "transforms.json", header_of)


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        ({}, -1.5, 1.5),
        ({"camera_model": "PINHOLE"}, -1.0, 1.0),
        ({"aabb_scale": 1}, -0.5 / 0.33, 0.5 / 0.33),
        ({"aabb_scale": 4}, -2 / 0.33, 2 / 0.33),
        ({"aabb_scale": 2, "scale": 0.5, "offset": [0.5, 0.5, 0.0]}, [-2, -2, -1], [2, 2, 3]),
    ],
)
def test_objects_are_in_the_box_that_the_file_says(change, low, high):
    content = json.loads(write_blender([Shot(made(0), "0.png")]))
    capture = read_transforms(json.dumps({**content, **change}), "t", header_of)
    np.testing.assert_allclose(capture.centre - capture.extent, np.broadcast_to(low, 3))
    np.testing.assert_allclose(capture.centre + capture.extent, np.broadcast_to(high, 3))


def test_a_principal_point_outside_of_the_picture_is_told():
    camera = made(0)
    with pytest.raises(DataError, match=r"intrinsics of b\.png do not match"):
        check_centres("transforms.json", (Shot(camera, "a.png"), Shot(camera.cropped(30, 0, 40, 30), "b.png")))
