"""Files of clips: other readers see the frames at their times, whatever the rate and the size; files repeat."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import av
import numpy as np
import pytest
from PIL import Image

from ddmi_core.errors import RequestError
from ddmi_core.parts import StoredGrid
from ddmi_video.export import frames, picture, write_frames, write_gif, write_mp4
from ddmi_video.reading.video import Video

WRITERS = {"mp4": write_mp4, "gif": write_gif, "zip": write_frames}
RATES = [8, 23.976, 24000 / 1001, 30, 59.94, 7.3333, 150, 1000, 0.01]


def clip(count, rows, columns, rate=8.0):
    """Smooth colours that become lighter."""
    y, x = np.mgrid[:rows, :columns]
    values = np.empty((count, rows, columns, 3), np.float32)
    for number in range(count):
        values[number, ..., 0] = -0.8 + 1.2 * x / columns
        values[number, ..., 1] = 0.7 - 1.2 * y / rows
        values[number, ..., 2] = -0.5 + number / count
    return StoredGrid(values=values, size=(count, rows, columns), extent=(count / rate, 2.0, 2.0))


def pixels(artefact):
    return np.stack(list(frames(artefact)))


def test_values_become_the_nearest_bytes_and_are_clipped():
    values = np.array([-3, -1, -1 + 0.9 / 255, 0, 1, 3], np.float32).reshape(1, 1, 6, 1).repeat(3, axis=-1)
    made = StoredGrid(values=values, size=(1, 1, 6), extent=(1.0, 2.0, 2.0))
    assert pixels(made)[0, 0, :, 0].tolist() == [0, 0, 0, 128, 255, 255]


@pytest.mark.parametrize("rate", RATES)
def test_mp4_has_just_the_rate_and_all_frames(tmp_path, rate):
    made = clip(6, 32, 32, rate)
    write_mp4(made, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.codec_context.name) == (6, "h264")
        assert float(stream.average_rate) == pytest.approx(rate, rel=1e-6)
    with Video(tmp_path / "a.mp4") as video:
        np.testing.assert_allclose(video.times, np.arange(6) / rate, rtol=1e-3)
        assert video.duration == pytest.approx(made.extent[0], rel=1e-4)


@pytest.mark.parametrize("size", [(96, 96), (96, 128), (95, 97), (64, 33)])
def test_mp4_shows_the_colours(tmp_path, size):
    made = clip(8, *size)
    write_mp4(made, tmp_path / "a.mp4")
    with Video(tmp_path / "a.mp4") as video:
        found = video.frames_at(video.times)
    rows, columns = size
    assert found.shape == (8, 3, rows + rows % 2, columns + columns % 2)
    error = found[..., :rows, :columns].transpose(0, 2, 3, 1).astype(int) - pixels(made)
    assert np.abs(error).mean() < 2
    assert np.abs(error).max() < 12


@pytest.mark.parametrize("level", [-1.0, -0.3, 0.4, 1.0])
def test_mp4_keeps_greys(tmp_path, level):
    made = StoredGrid(values=np.full((3, 16, 16, 3), level, np.float32), size=(3, 16, 16), extent=(1.0, 2.0, 2.0))
    write_mp4(made, tmp_path / "a.mp4")
    with Video(tmp_path / "a.mp4") as video:
        found = video.frames_at(video.times).transpose(0, 2, 3, 1).astype(int)
    assert np.abs(found - pixels(made)).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 48, 48), (3, 1, 1), (2, 1, 17)])
def test_mp4_holds_the_smallest_clips(tmp_path, shape):
    made = clip(*shape)
    write_mp4(made, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(found) == shape[0]
    error = np.stack(found)[:, : shape[1], : shape[2]].astype(int) - pixels(made)
    assert np.abs(error).mean() < 12


@pytest.mark.parametrize("kind", WRITERS)
def test_files_repeat(tmp_path, kind):
    made = clip(10, 48, 48, 24000 / 1001)  # of this, x264's trees of macroblocks make different files
    contents = set()
    for number in range(12 if kind == "mp4" else 2):
        WRITERS[kind](made, tmp_path / f"{number}.{kind}")
        contents.add((tmp_path / f"{number}.{kind}").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("rate", [8, 12, 24, 30, 48])
def test_gif_keeps_its_speed(tmp_path, rate):
    write_gif(clip(30, 8, 8, rate), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as read:
        assert (read.n_frames, read.info["loop"]) == (30, 0)
        starts = [0.0]
        for number in range(30):
            read.seek(number)
            starts.append(starts[-1] + read.info["duration"] / 1000)
    np.testing.assert_allclose(starts, np.arange(31) / rate, atol=0.00501)


def test_gif_is_drawn_at_fifty_frames_a_second_where_a_clip_has_more(tmp_path):
    write_gif(clip(30, 8, 8, 150), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as read:
        assert read.n_frames == 10
        assert read.info["duration"] == 20


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 20, 30), (5, 33, 21)])
def test_gif_shows_the_colours(tmp_path, shape):
    made = clip(*shape)
    write_gif(made, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as read:
        assert read.n_frames == shape[0]
        for number, expected in enumerate(pixels(made)):
            read.seek(number)
            assert np.abs(np.asarray(read.convert("RGB")).astype(int) - expected).mean() < 5


def test_gif_is_read_alike_by_another_reader(tmp_path):
    write_gif(clip(5, 32, 32, 10), tmp_path / "a.gif")
    with Video(tmp_path / "a.gif") as video:
        np.testing.assert_allclose(video.times, np.arange(5) / 10, atol=1e-6)
        assert (
            np.abs(video.frames_at(video.times).transpose(0, 2, 3, 1) - pixels(clip(5, 32, 32)).astype(int)).mean() < 5
        )


def test_a_zip_archive_holds_just_the_frames(tmp_path):
    made = clip(11, 5, 7)
    write_frames(made, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [f"{number:05d}.png" for number in range(11)]
        found = [np.asarray(Image.open(archive.open(name))) for name in archive.namelist()]
    np.testing.assert_array_equal(np.stack(found), pixels(made))


@pytest.mark.parametrize(("kind", "columns"), [("mp4", 8193), ("gif", 1025)])
def test_frames_that_a_format_cannot_hold_are_refused(tmp_path, kind, columns):
    made = clip(1, 1, columns)
    with pytest.raises(RequestError, match=f"{columns - 1} pixels a side"):
        WRITERS[kind](made, tmp_path / f"a.{kind}")
    assert not (tmp_path / f"a.{kind}").exists()


@pytest.mark.parametrize("kind", WRITERS)
def test_errors_of_the_system_pass_through(tmp_path, kind):
    with pytest.raises(OSError):
        WRITERS[kind](clip(2, 8, 8), tmp_path / "missing" / f"a.{kind}")


LONG = """
import resource, sys
from pathlib import Path
import numpy as np
from ddmi_core.parts import GridArtefact
from ddmi_video import export

class Long(GridArtefact):
    channels = 3

    def slabs(self):
        for number in range(self.size[0]):
            yield np.full((1, *self.size[1:], 3), number / self.size[0], np.float32)

    def at(self, size):
        raise NotImplementedError

write = {"mp4": export.write_mp4, "gif": export.write_gif, "zip": export.write_frames}[sys.argv[1]]
def go(count):
    write(Long(size=(count, 240, 320), extent=(count / 30, 2.0, 2.0)), Path(sys.argv[2]))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
short, long = go(70), go(400)
print((long - short) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, kind):
    # 330 more frames are 25 MiB as indices of colours, 36 MiB in 4:2:0, and 72 MiB as bytes.
    program = [sys.executable, "-c", LONG, kind, str(tmp_path / f"a.{kind}")]
    grown = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 12


def test_a_report_shows_few_small_frames_of_a_clip():
    found = picture(clip(100, 400, 200))
    assert len(found) == 64
    assert {drawn.size for drawn in found} == {(96, 192)}
    small = clip(5, 16, 24)
    np.testing.assert_array_equal(np.stack([np.asarray(drawn) for drawn in picture(small)]), pixels(small))


def test_a_report_shows_a_slice_through_time_as_one_picture():
    made = clip(30, 1, 20)
    np.testing.assert_array_equal(np.stack(picture(made))[0], pixels(made)[:, 0])
