"""Videos read by time stamp: which frame is shown when, how large, and which way up."""

import io
import subprocess
import sys

import numpy as np
import pytest
from attrs import evolve
from video_files import FRAMES, H264, KINDS, Kind, numbers_of, picture, write

from ddmi_core.errors import DataError
from ddmi_video.reading.centre_crop import centre_crop
from ddmi_video.reading.clips import VIDEO_SUFFIXES
from ddmi_video.reading.display_orientation import Orientation
from ddmi_video.reading.frames import PyavFrames
from ddmi_video.reading.video import Video


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {name: write(folder, kind) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_the_frame_at_a_time_is_the_last_that_is_not_later(name, files):
    kind = KINDS[name]
    with Video(files[name]) as video:
        np.testing.assert_allclose(video.times, kind.times, atol=6e-4)
        assert video.duration > kind.times[-1]
        times = np.random.default_rng(0).uniform(0, video.duration, 30)
        times = times[abs(times[:, None] - kind.times).min(axis=1) > 2e-3]
        expected = (np.searchsorted(kind.times, times, side="right") - 1).tolist()
        together = video.frames_at(times)
        assert numbers_of(together) == expected
        alone = np.concatenate([video.frames_at([time]) for time in times])  # forwards and backwards
        assert np.array_equal(alone, together)


CODECS = {
    **dict.fromkeys((".3gp", ".3g2", ".flv", ".f4v", ".ts", ".m2ts"), "libx264"),
    **dict.fromkeys((".mpg", ".vob", ".mxf"), "mpeg2video"),
    **{".wmv": "wmv2", ".asf": "wmv2", ".ogv": "libvpx", ".y4m": "rawvideo"},
}


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_of_further_containers_is_found(suffix, tmp_path):
    codec = CODECS[suffix]
    options = H264 if codec == "libx264" else {"g": "8", "b": "4M", **({"bf": "2"} if suffix == ".mpg" else {})}
    assert suffix in VIDEO_SUFFIXES
    with Video(write(tmp_path, Kind(f"a{suffix}", codec, options))) as video:
        times = np.arange(FRAMES) / 25
        np.testing.assert_allclose(video.times, times, atol=1e-3)
        assert numbers_of(video.frames_at(times + 0.02)) == list(range(FRAMES))
        alone = [video.frames_at([time]) for time in (0.9, 0.2, 0.6)]
        assert numbers_of(np.concatenate(alone)) == [22, 5, 15]
        assert video.missing == ""


@pytest.mark.parametrize("name", ["h264", "vp9", "varied-mkv", "gif"])
def test_times_that_a_container_rounds_show_the_frame_that_begins_then(name, files):
    kind = KINDS[name]
    with Video(files[name]) as video:
        assert numbers_of(video.frames_at(kind.times)) == list(range(FRAMES))


@pytest.mark.parametrize("name", KINDS)
def test_frames_have_the_colours_that_were_written_and_stand_upright(name, files):
    kind = KINDS[name]
    expected = np.rot90(picture(5, *kind.size), kind.turned // 90)
    with Video(files[name]) as video:
        assert video.size == expected.shape[:2]
        frame = video.frames_at(kind.times[5:6])[0].transpose(1, 2, 0)
    limit = 20 if name == "gif" else 3
    assert abs(frame.astype(int) - expected).mean() < limit


def test_an_open_file_reads_as_its_path(files):
    with Video(files["varied-mp4"]) as one, Video(io.BytesIO(files["varied-mp4"].read_bytes()), "bytes") as other:
        assert np.array_equal(one.frames_at([0.9, 0.1]), other.frames_at([0.9, 0.1]))


@pytest.mark.parametrize("times", [[-0.1], [0.2, 5.0]])
def test_times_outside_are_refused(times, files):
    with Video(files["h264"]) as video, pytest.raises(DataError, match=r"no frame at .* 0\.960 s long"):
        video.frames_at(times)


def test_a_late_frame_is_found_from_the_key_frame_before(tmp_path, monkeypatch):
    path = write(tmp_path, evolve(KINDS["h264"], stamps=range(160)))
    decoded = []
    plain = PyavFrames._number_of
    monkeypatch.setattr(PyavFrames, "_number_of", lambda self, frame: decoded.append(0) or plain(self, frame))
    with Video(path) as video:
        video.frames_at([150 / 25])
        assert len(decoded) <= 16
        video.frames_at([10 / 25])
        assert len(decoded) <= 32


def test_frames_are_reduced_as_they_come(files, monkeypatch):
    with Video(files["h264"]) as video:
        sizes = []
        plain = np.empty
        monkeypatch.setattr(np, "empty", lambda shape, **kw: sizes.append(shape) or plain(shape, **kw))
        assert video.frames_at(video.times, side=16).shape == (FRAMES, 3, 16, 16)
    # numpy 1 makes masks of its own with np.empty
    assert [size for size in sizes if size != (FRAMES,)] == [(FRAMES, 3, 16, 16)]


def test_the_square_is_central_and_smooth():
    frame = np.zeros((20, 60, 3), dtype=np.uint8)
    frame[:, 20:40] = 200
    assert (centre_crop(frame, 20) == 200).all()
    assert (centre_crop(frame.swapaxes(0, 1), 20) == 200).all()
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert abs(centre_crop(stripes, 8).astype(int)[:, 1:-1, 1:-1] - 100).max() <= 3


def test_squares_are_square_on_the_screen_where_pixels_are_not():
    frame = np.zeros((40, 40, 3), dtype=np.uint8)
    frame[:, 10:30] = 200  # pixels twice as wide as high: the central 20 columns are as wide as 40 rows
    assert (centre_crop(frame, 40, aspect=2.0)[:, :, 2:-2] > 190).all()
    assert Orientation((40, 40), turns=1, stretch=2.0).aspect == 0.5


def test_nothing_heavy_is_imported_before_a_video_is_opened():
    names = "ddmi_video.settings, ddmi_video.reading.video, ddmi_video.reading.worker_process"
    code = f"import sys, {names}; print([m for m in ('av', 'torch', 'decord', 'torchcodec') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
