"""Intrinsics of camera files: precedence of keys, other sizes, EXIF orientations, and lenses."""

import json
import math

import numpy as np
import pytest
from nerf_files import nerfstudio, save, views
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting
from ddmi_nerf.cameras.camera import Shot
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.lens import Lens
from ddmi_nerf.cameras.transforms import read_transforms, write_nerfstudio
from ddmi_nerf.data.folder import load_all
from ddmi_nerf.settings import NerfSettings

WIDTH, HEIGHT = 40, 30
SETTINGS = NerfSettings(size=24, views=6, held_views=2, shown=6, points=64)
ANGLE = 2 * math.atan(WIDTH / 2 / 50)  # of a focal length of 50
POSE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def shot_of(file, frame=None, header=None):
    """The view of a file with one frame."""
    frame = {"file_path": "0.png", "transform_matrix": POSE, **(frame or {})}
    header = header or Header(WIDTH, HEIGHT)
    (shot,) = read_transforms(json.dumps({**file, "frames": [frame]}), "t.json", lambda _: header).shots
    return shot


@pytest.mark.parametrize(
    ("file", "frame", "focal"),
    [
        ({"fl_x": 50}, {}, (50, 50)),
        ({"fl_x": 50, "fl_y": 60}, {}, (50, 60)),
        ({"camera_angle_x": ANGLE}, {}, (50, 50)),
        ({"camera_angle_x": ANGLE, "camera_angle_y": 2 * math.atan(15 / 60)}, {}, (50, 60)),
        ({"fl_x": 200, "fl_y": 210}, {"fl_x": 50}, (50, 50)),
        ({"fl_x": 200, "fl_y": 210}, {"camera_angle_x": ANGLE}, (50, 50)),
        ({"camera_angle_x": 1.5, "camera_angle_y": 1.4}, {"fl_x": 50}, (50, 50)),
        ({"camera_angle_x": 1.5, "camera_angle_y": 1.4}, {"fl_x": 50, "fl_y": 60}, (50, 60)),
        ({"fl_x": 50, "camera_angle_y": 1.4}, {}, (50, 50)),
    ],
)
def test_a_focal_length_of_a_frame_replaces_all_of_the_file(file, frame, focal):
    camera = shot_of(file, frame).camera
    np.testing.assert_allclose((camera.fx, camera.fy), focal)


def test_a_frame_with_another_kind_of_focal_length_only_is_told():
    with pytest.raises(DataError, match=r"frame 0 \(0\.png\): .*neither fl_x nor camera_angle_x"):
        shot_of({"fl_x": 50}, {"fl_y": 50})


def test_intrinsics_for_a_larger_picture_are_scaled():
    whole = {"fl_x": 200, "fl_y": 220, "cx": 84, "cy": 56, "w": 160, "h": 120}
    shot = shot_of(whole)
    assert shot.camera.intrinsics == (50, 55, 21, 14)
    assert shot.scale == 0.25
    assert shot_of({"camera_angle_x": ANGLE, "w": 160, "h": 120}).camera.fx == pytest.approx(50)
    odd = shot_of({**whole, "w": 161, "h": 121})  # made smaller, and rounded down
    np.testing.assert_allclose(odd.camera.intrinsics, (200 * 40 / 161, 220 * 30 / 121, 84 * 40 / 161, 56 * 30 / 121))


def test_pictures_that_were_made_smaller_show_the_same(tmp_path):
    nerfstudio(tmp_path / "data" / "a", size=48)
    expected = load_all(tmp_path / "data", SETTINGS)
    for path in (tmp_path / "data" / "a" / "images").iterdir():
        Image.open(path).resize((24, 24), Image.Resampling.BOX).save(path)
    with accounting() as account:
        smaller = load_all(tmp_path / "data", SETTINGS)
    np.testing.assert_allclose(smaller.batch([0]).intrinsics, expected.batch([0]).intrinsics, rtol=1e-6)
    np.testing.assert_allclose(smaller.batch([0]).opacity, expected.batch([0]).opacity, atol=0.01)
    changes = {change.what: change.amount for change in account.changes["a"]}
    assert changes["with intrinsics scaled to the size of the views"] == 0.5


@pytest.mark.parametrize(
    ("file", "turned"),
    [
        ({"w": HEIGHT, "h": WIDTH}, True),
        ({"w": 4 * HEIGHT, "h": 4 * WIDTH}, True),
        ({"w": WIDTH, "h": HEIGHT}, False),
        ({"cx": HEIGHT / 2 + 1, "cy": WIDTH / 2}, True),
        ({"cx": WIDTH / 2, "cy": HEIGHT / 2 - 1}, False),
    ],
)
def test_the_size_tells_whether_a_camera_refers_to_the_turned_picture(file, turned):
    shot = shot_of({"fl_x": 50, **file}, header=Header(WIDTH, HEIGHT, orientation=6))
    assert shot.turned == turned
    assert (shot.camera.width, shot.camera.height) == ((HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT))


@pytest.mark.parametrize("header", [Header(30, 30, 6), Header(WIDTH, HEIGHT, 3), Header(WIDTH, HEIGHT, 8)])
def test_a_turn_that_the_size_does_not_tell_is_refused(header):
    with pytest.raises(
        DataError, match=r"0\.png\): .*EXIF orientation .* mogrify -auto-orient.*exiftool -Orientation="
    ):
        shot_of({"fl_x": 50}, header=header)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_turned_pictures_are_read_upright(tmp_path, orientation):
    cameras, pictures = views(size=24)
    folder = tmp_path / "data" / "a"
    shots = []
    stored = {5: lambda p: p.swapaxes(0, 1), 6: np.rot90, 7: lambda p: np.rot90(p, 2).swapaxes(0, 1)}
    stored[8] = lambda p: np.rot90(p, 3)
    for place, (camera, pixels) in enumerate(zip(cameras, pictures, strict=True)):
        tall = np.pad(pixels, ((4, 4), (0, 0), (0, 0)))
        save(folder / f"{place}.png", stored[orientation](tall))
        exif = Image.Exif()
        exif[0x112] = orientation
        Image.open(folder / f"{place}.png").save(folder / f"{place}.png", exif=exif)
        shots.append(Shot(camera.cropped(0, -4, 24, 32), f"{place}.png"))
    (folder / "transforms.json").write_text(write_nerfstudio(shots))
    with accounting() as account:
        signals = load_all(tmp_path / "data", SETTINGS)
    signal = signals.batch([0])
    for view, pose in enumerate(signal.to_world[0].numpy()):
        which = int(np.argmin([np.abs(camera.to_world - pose).max() for camera in cameras]))
        np.testing.assert_allclose(signal.opacity[0, view, 0], pictures[which][..., 3] / 255, atol=0.01)
        np.testing.assert_allclose(signal.intrinsics[0, view], cameras[which].intrinsics, rtol=1e-6)
    assert "with views turned upright as EXIF says" in [change.what for change in account.changes["a"]]


def test_distortion_comes_from_keys_or_from_a_list():
    flat = {"fl_x": 50}
    expected = Lens((0.1, 0.02, 0.03), (0.001, 0.002))
    assert shot_of({**flat, "k1": 0.1, "k2": 0.02, "k3": 0.03, "p1": 0.001, "p2": 0.002}).lens == expected
    as_list = {"distortion_params": [0.1, 0.02, 0.03, 0, 0.001, 0.002]}
    assert shot_of({**flat, **as_list}).lens == expected
    assert shot_of({**flat, "k1": 0.4, "k2": 0.5}, as_list).lens == expected  # the frame's alone
    assert shot_of(flat).lens is shot_of({**flat, "k1": 0, "k5": 0}).lens is None
    assert shot_of({**flat, "camera_model": "SIMPLE_RADIAL", "k1": 0.1}).lens == Lens((0.1, 0, 0))
    for values in ({"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}):
        fisheye = Lens((0.1, 0.0, 0.0, 0.2), fisheye=True)
        assert shot_of({**flat, **values, "k1": 0.1, "k4": 0.2}).lens == fisheye


def test_frames_that_are_listed_twice_are_taken_once(tmp_path):
    content = json.loads(write_nerfstudio([Shot(shot_of({"fl_x": 50}).camera, "0.png")]))
    content["frames"] *= 3
    assert len(read_transforms(json.dumps(content), "t", lambda _: Header(WIDTH, HEIGHT)).shots) == 1


def test_pictures_may_differ_in_size(tmp_path):
    cameras, pictures = views(size=24)
    shots = []
    for place, (camera, pixels) in enumerate(zip(cameras, pictures, strict=True)):
        pad = ((0, 0), (4, 4)) if place % 2 else ((4, 4), (0, 0))
        save(tmp_path / "data" / "a" / f"{place}.png", np.pad(pixels, (*pad, (0, 0))))
        wide, high = (32, 24) if place % 2 else (24, 32)
        shots.append(Shot(camera.cropped(-4 * (place % 2), -4 * (1 - place % 2), wide, high), f"{place}.png"))
    (tmp_path / "data" / "a" / "transforms.json").write_text(write_nerfstudio(shots))
    signal = load_all(tmp_path / "data", SETTINGS).batch([0])
    for view, pose in enumerate(signal.to_world[0].numpy()):
        which = int(np.argmin([np.abs(camera.to_world - pose).max() for camera in cameras]))
        np.testing.assert_allclose(signal.intrinsics[0, view], cameras[which].intrinsics, rtol=1e-6)
        np.testing.assert_allclose(signal.opacity[0, view, 0], pictures[which][..., 3] / 255, atol=0.01)
