"""Views in words: sizes and places, and sentences about others."""

from __future__ import annotations

import numpy as np
import pytest

from ddmi_core.errors import DataError, RequestError
from ddmi_nerf.cameras.camera import Camera, to_json
from ddmi_nerf.cameras.orbit import parse_view, report_views, usual_camera
from ddmi_nerf.settings import NerfSettings

SETTINGS = NerfSettings()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("64", usual_camera((64, 64))),
        (" 48x64 ", usual_camera((48, 64))),
        ("32@90,-10", Camera.orbit(90, -10, 2.8, width=32, height=32)),
        ("32x20@0,0,4.5", Camera.orbit(0, 0, 4.5, width=20, height=32)),
        ("8@-35.5,90", Camera.orbit(-35.5, 90, 2.8, width=8, height=8)),
    ],
)
def test_words_stand_for_cameras(text, wanted):
    found = parse_view(text, SETTINGS)
    np.testing.assert_allclose(found.to_world, wanted.to_world, atol=1e-12)
    assert (found.height, found.width, found.fx) == (wanted.height, wanted.width, wanted.fx)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x64",
        "64x",
        "64@10",
        "64@a,b",
        "64x64x64",
        "1e3",
        "-4",
        "64@10,20,30,40",
        "9" * 5000,
        f"64@{'9' * 400},0",
        "٣",
    ],
)
def test_other_forms_are_named(text):
    with pytest.raises(RequestError, match="64@35,20"):
        parse_view(text, SETTINGS)


@pytest.mark.parametrize("text", ["0", "9999", "64@0,91", "64@0,-91", "64@0,0,0.01", "64@0,0,1000"])
def test_numbers_out_of_range_are_refused(text):
    with pytest.raises(RequestError, match="out of range"):
        parse_view(text, SETTINGS)


@pytest.mark.parametrize("size", [16, 64, 200, 1024])
def test_reports_show_an_object_from_different_places(size):
    labelled = report_views(NerfSettings(size=size))
    places = {tuple(np.round(camera.origin, 3)) for _, camera in labelled}
    assert len({label for label, _ in labelled}) == len(labelled) == (4 if size < 256 else 3)
    assert len(places) == 3
    assert all(camera.height <= max(size, 256) for _, camera in labelled)


def test_cameras_that_were_written_are_views_again(tmp_path):
    cameras = [Camera.orbit(turn, 20, 3, width=30, height=20) for turn in (0, 120, 240)]
    path = tmp_path / "some, cameras@2.json"
    path.write_text(to_json(cameras))
    for text, wanted in ((f"{path}", cameras[0]), (f"{path}@2", cameras[2])):
        found = parse_view(text, SETTINGS)
        np.testing.assert_allclose(found.to_world, wanted.to_world, atol=1e-15)
        assert (found.height, found.width, found.fx, found.cy) == (20, 30, wanted.fx, wanted.cy)
    with pytest.raises(RequestError, match=r"has no camera 3; it has 3 cameras, from 0"):
        parse_view(f"{path}@3", SETTINGS)
    with pytest.raises(DataError, match=r"missing.json cannot be read"):
        parse_view("missing.json", SETTINGS)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other.json: not a JSON camera file"):
        parse_view(str(tmp_path / "other.json"), SETTINGS)
