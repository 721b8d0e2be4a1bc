"""Back ends: the same frames from each, whatever the container, and clear words where one is missing."""

import io
import logging
import sys

import numpy as np
import pytest
from video_files import KINDS, numbers_of, write

from ddmi_core.errors import PluginError
from ddmi_video.reading import backends
from ddmi_video.reading.frames import PyavFrames
from ddmi_video.reading.video import Video

SPECIAL = {
    "h264-avi",
    "mpeg4",
    "near-keys",
    "open-groups",
    "interlaced",
    "odd",
    "gif",
    "ten-bit",
}  # PyAV reads them for all


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {name: write(folder, kind) for name, kind in KINDS.items()}


@pytest.fixture(params=["torchcodec", "decord"])
def backend(request):
    try:
        __import__({"torchcodec": "torchcodec.decoders"}.get(request.param, request.param))
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"{request.param} cannot be loaded: {error}")
    return request.param


@pytest.mark.parametrize("name", KINDS)
def test_each_gives_the_same_frames(name, backend, files):
    with Video(files[name]) as video, Video(files[name], backend=backend) as other:
        assert isinstance(other.frames, PyavFrames) == (name in SPECIAL)
        times = np.random.default_rng(1).uniform(0, video.duration, 20)
        expected = video.frames_at(times).astype(int)
        together = other.frames_at(times)
        alone = np.concatenate([other.frames_at([time]) for time in times])
        assert other.size == video.size
        for frames in (together, alone):
            assert numbers_of(frames) == numbers_of(expected)
            assert abs(frames - expected).mean(axis=(1, 2, 3)).max() <= 1


def test_each_reads_open_files(backend, files):
    content = io.BytesIO(files["varied-mp4"].read_bytes())
    with Video(files["varied-mp4"]) as video, Video(content, "bytes", backend) as other:
        assert abs(video.frames_at([1.0, 0.2]).astype(int) - other.frames_at([1.0, 0.2])).mean() <= 1


def test_it_is_told_when_another_one_reads(backend, files, caplog):
    with caplog.at_level(logging.INFO), Video(files["odd"], backend=backend):
        pass
    assert f"read by PyAV, not {backend}, because its sides are odd" in caplog.text


@pytest.mark.parametrize("name", ["h264", "odd"])
@pytest.mark.parametrize("missing", ["torchcodec", "decord"])
def test_a_missing_one_says_how_to_get_it(missing, name, files, monkeypatch):
    for package in (missing, f"{missing}.decoders"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PluginError, match=rf'{missing}\' is not installed: pip install "ddmi\[{missing}\]"'):
        Video(files[name], backend=missing)


def test_missing_libraries_are_told(files, monkeypatch):
    def fail(name):
        raise OSError("libavutil.so.57: cannot open shared object file\nmore")

    monkeypatch.setattr(backends, "import_module", fail)
    with pytest.raises(PluginError, match=r"libavutil\.so\.57: cannot .* file\. torchcodec needs FFmpeg's shared"):
        Video(files["h264"], backend="torchcodec")


def test_an_unknown_one_is_told(files):
    with pytest.raises(PluginError, match="did you mean 'decord'"):
        Video(files["h264"], backend="decor")
