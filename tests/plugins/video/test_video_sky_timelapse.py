"""SkyTimelapse in its official layout."""

import pytest
from attrs import evolve
from PIL import Image
from video_files import picture

from ddmi_core.errors import DataError
from ddmi_core.sources import folders
from ddmi_video.settings import VideoSettings
from ddmi_video.sky_timelapse import sky_timelapse

SMALL = VideoSettings(frames=4, size=16, rate=3.0)


def write_sky(top, side, video, part, count):
    folder = top / side / video / f"{video}_{part}"
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(picture(number)).save(folder / f"{video}_frames_{number + 1:08}.jpg")


@pytest.mark.parametrize("below", ["", "sky_timelapse"])
def test_the_official_test_videos_are_held_out(below, tmp_path):
    write_sky(tmp_path / below, "sky_train", "_abc", 1, 9)
    write_sky(tmp_path / below, "sky_train", "_abc", 2, 3)  # shorter than a clip: passed over
    write_sky(tmp_path / below, "sky_train", "xyz", 1, 4)
    write_sky(tmp_path / below, "sky_train", "xyz", 2, 1)
    write_sky(tmp_path / below, "sky_test", "def", 1, 8)
    split = sky_timelapse(tmp_path, SMALL)
    assert list(split.train.names) == ["_abc/_abc_1@0.000s", "_abc/_abc_1@1.333s", "xyz/xyz_1@0.000s"]
    assert list(split.held_out.names) == ["def/def_1@0.000s", "def/def_1@1.333s"]
    assert split.train.classes == ()
    other = sky_timelapse(tmp_path, evolve(SMALL, rate=25.0))
    assert (other.train.batch([0, 1, 2]).values == split.train.batch([0, 1, 2]).values).all()


def test_where_to_get_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "user_data_path", lambda name: tmp_path / "home")
    with pytest.raises(DataError, match=r"home/data/sky-timelapse/sky_train, .*/sky_test: no such folder\. .*mdgan"):
        sky_timelapse(None, SMALL)
    write_sky(tmp_path, "sky_train", "a", 1, 4)
    with pytest.raises(DataError, match=r"sky_test: no such folder.*--data sky-timelapse:PATH"):
        sky_timelapse(tmp_path, SMALL)
