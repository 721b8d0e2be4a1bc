"""Folders and archives of videos and of frames as sets of clips."""

import logging
import zipfile

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image
from video_files import KINDS, Kind, damage, numbers_of, picture, write

from ddmi_core.errors import DataError
from ddmi_core.sources import decoding as decoded
from ddmi_core.sources.account import accounting
from ddmi_video.folder import load, load_all, read
from ddmi_video.reading import worker_process
from ddmi_video.reading.clips import video_of
from ddmi_video.settings import VideoSettings
from picture_profiles import COLOUR, DECLARED

SMALL = VideoSettings(frames=4, size=16, rate=12.5, held_out=0.3)  # 24 frames at 25 a second: three clips
PLAIN = Kind("a.mkv", "mjpeg", pixels="yuvj420p")


def write_frames(folder, count, size=(48, 64), name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(picture(number, *size)).save(folder / name.format(number))


def shown(clips, index):
    """The numbers that the frames of a clip show."""
    values = clips.batch([index]).values[0]
    return numbers_of(((values.numpy() + 1) * 127.5).swapaxes(0, 1))


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write(tmp_path / "set", PLAIN, f"{'cats' if number % 2 else 'dogs'}/{number}.mkv")
    return tmp_path / "set"


def test_videos_are_cut_into_consecutive_clips_at_the_native_rate(folder):
    clips = load_all(folder, SMALL)
    assert list(clips.names[:3]) == ["cats/1.mkv@0.000s", "cats/1.mkv@0.320s", "cats/1.mkv@0.640s"]
    assert len(clips) == 18
    assert [shown(clips, i) for i in range(3)] == [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18, 20, 22]]
    values = clips.batch([0, 5]).values
    assert values.shape == (2, 3, 4, 16, 16)
    assert values.dtype == torch.float32
    assert -1 <= values.min() < values.max() <= 1


def test_clips_are_cut_by_time_whatever_the_rate_of_the_file(tmp_path):
    write(tmp_path, KINDS["varied-mkv"])
    clips = load_all(tmp_path, evolve(SMALL, rate=10.0))
    stamps = np.asarray(KINDS["varied-mkv"].stamps)
    for index in range(3):
        wanted = (np.arange(4) + 4 * index) * 5  # in 1/50 s
        assert shown(clips, index) == (np.searchsorted(stamps, wanted, side="right") - 1).tolist()


def test_what_is_done_to_the_frames_of_a_clip_is_recorded(tmp_path):
    write(tmp_path, KINDS["narrow"])  # 64 rows, 48 columns, 25 frames a second
    Image.new("RGB", (8, 8)).save(tmp_path / "cover.png")
    with accounting() as account:
        clips = load_all(tmp_path, SMALL)
    assert set(account.changes) == set(clips.names)
    changes = {change.what: change for change in account.changes[clips.names[0]]}
    assert changes["taken at 12.5 frames a second"].amount == pytest.approx(25)
    assert changes["cut to the central square"].amount == 0.25
    assert changes["cut to the central square"].values == {"size": [48, 64]}
    assert changes["reduced in size"].amount == 3
    assert account.left_out["cover.png"].reason == "picture beside videos"


def test_clips_of_one_video_stay_on_one_side(folder):
    split = load(folder, SMALL)
    sides = [{video_of(name) for name in part.names} for part in (split.train, split.held_out)]
    assert len(sides[0]) + len(sides[1]) == 6
    assert not sides[0] & sides[1]
    assert sides[1]


def test_sub_folders_are_classes_and_texts_captions(folder):
    clips = load_all(folder, SMALL)
    assert clips.classes == ("cats", "dogs")
    assert all(name.startswith(clips.classes[label]) for name, label in zip(clips.names, clips.labels, strict=True))
    assert not clips.captions
    for path in list(folder.rglob("*.mkv")):
        path.with_suffix(".txt").write_text(f"a film {path.stem}\nit goes {'left' if path.stem == '1' else 'on'}\n")
    clips = load_all(folder, evolve(SMALL, classes=False))
    assert clips.classes == ()
    assert clips.captions[4] == ("a film 3", "it goes on")
    turned = [[], []]
    for seed in range(8):
        for i, name in enumerate(("cats/1.mkv@0.000s", "cats/3.mkv@0.000s")):
            index = [clips.names.index(name)]
            values = clips.batch(index, torch.Generator().manual_seed(seed)).values
            turned[i].append(torch.equal(values, clips.batch(index).values.flip(-1)))
    assert not any(turned[0])
    assert any(turned[1])
    assert not all(turned[1])


def test_an_archive_and_workers_give_the_same_as_the_folder(folder):
    with zipfile.ZipFile(folder.parent / "set.zip", "w") as archive:
        for path in folder.rglob("*.mkv"):
            archive.write(path, f"top/{path.relative_to(folder)}")
    plain = load_all(folder, SMALL)
    assert load_all(folder.parent / "set.zip", SMALL).fingerprint() == plain.fingerprint()
    assert load_all(folder.parent / "set.zip", evolve(SMALL, workers=2)).fingerprint() == plain.fingerprint()


def test_at_most_one_clip_a_worker_is_in_flight(folder, monkeypatch):
    flying, most = [0], [0]

    class Future:
        def __init__(self, work, job):
            self.work, self.job = work, job

        def result(self):
            flying[0] -= 1
            return self.work(self.job)

    class Pool:
        def __init__(self, workers, context, start, arguments):
            start(*arguments)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, work, job):
            flying[0] += 1
            most[0] = max(most[0], flying[0])
            return Future(work, job)

    monkeypatch.setattr(worker_process, "ProcessPoolExecutor", Pool)
    assert len(load_all(folder, evolve(SMALL, workers=3))) == 18
    assert most == [3]


def test_folders_of_frames_are_videos(tmp_path):
    for name in ("b/one", "c/two"):
        write_frames(tmp_path / name, 11, name="frame_{}.png")  # frame_10 comes last
    clips = load_all(tmp_path, evolve(SMALL, rate=5.0))
    assert list(clips.names) == ["b/one@0.000s", "b/one@0.800s", "c/two@0.000s", "c/two@0.800s"]
    assert [shown(clips, i) for i in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert clips.classes == ("b", "c")
    alone = load_all(tmp_path / "b" / "one", SMALL)
    assert list(alone.names) == ["one@0.000s", "one@0.320s"]


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tif", "ppm", "tga", "jp2", "avif"])
def test_frames_of_all_formats_of_pictures_are_read(suffix, tmp_path):
    write_frames(tmp_path / "a", 8, name=f"{{}}.{suffix}")
    clips = load_all(tmp_path, evolve(SMALL, rate=8.0))
    assert shown(clips, 0) == [0, 1, 2, 3]


def test_what_is_done_to_a_folder_of_frames_is_recorded(tmp_path):
    write_frames(tmp_path / "a", 8)
    clear = tmp_path / "b"
    clear.mkdir()
    for number in range(8):
        Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(clear / f"{number}.png")
    with accounting() as account:
        clips = load_all(tmp_path, evolve(SMALL, background="#00ff00"))
    changes = {name: [change.what for change in each] for name, each in account.changes.items()}
    assert changes[clips.names[0]] == ["cut to the central square", "reduced in size"]
    assert changes[clips.names[-1]] == ["reduced in size", "with frames laid over #00ff00 where transparent"]
    assert torch.equal(clips.batch([len(clips) - 1]).values[0, :, 0, 0, 0], torch.tensor([-1.0, 1.0, -1.0]))


@pytest.mark.parametrize("kind", DECLARED)
def test_colours_that_frames_declare_are_converted_to_srgb(tmp_path, kind):
    save, suffix, wanted = DECLARED[kind]
    write_frames(tmp_path, 4)
    for number in (1, 2):
        (tmp_path / f"{number}.png").unlink()
        save(Image.new("RGB", (64, 48), COLOUR), tmp_path / f"{number}{suffix}")
    with accounting() as account:
        clips = load_all(tmp_path, SMALL)
    found = (clips.batch([0]).values[0, :, 1:3].numpy() + 1) * 127.5
    np.testing.assert_allclose(found, np.broadcast_to(wanted[:, None, None, None], found.shape), atol=3)
    (change,) = (each for each in account.changes[clips.names[0]] if "converted to sRGB" in each.what)
    assert (change.amount, change.unit) == (2, "frames")


def test_frames_that_exif_turns_and_deep_greys_are_read_as_they_are_shown(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    for number in range(4):
        values = np.full((48, 64), 0x4040, np.uint16)
        values[:, :32] = 7
        Image.fromarray(values).save(tmp_path / f"{number}.png", transparency=7, exif=exif)
    with accounting() as account:
        clips = load_all(tmp_path, evolve(SMALL, background="#00ff00"))
    found = (clips.batch([0]).values[0, :, 0].numpy() + 1) * 127.5
    assert found.shape[1:] == (16, 16)
    np.testing.assert_allclose(found[:, 0, 8], [0, 255, 0], atol=1)  # the left half is shown above
    np.testing.assert_allclose(found[:, -1, 8], [0x40] * 3, atol=1)
    changes = [change.what for change in account.changes[clips.names[0]]]
    assert "with frames turned upright as EXIF says" in changes
    assert "with frames laid over #00ff00 where transparent" in changes


def test_pictures_beside_videos_are_passed_over(folder):
    Image.new("RGB", (64, 48)).save(folder / "cats" / "cover.jpg")
    assert len(load_all(folder, SMALL)) == 18


def test_bad_files_are_told_or_left_out(folder, caplog):
    (folder / "cats" / "bad.mp4").write_bytes(b"nothing")
    write(folder, evolve(PLAIN, stamps=range(6)), "dogs/short.mkv")
    write_frames(folder / "birds", 1)
    with pytest.raises(
        DataError, match=r"3 files cannot be used(.|\n)*bad\.mp4: not a(.|\n)*--set domain\.strict"
    ) as told:
        load(folder, SMALL)
    assert "dogs/short.mkv: 0.240 s is shorter than a clip of 4 frames at 12.5 a second, 0.320 s" in str(told.value)
    assert "birds/0.png: the only picture of its folder" in str(told.value)
    with caplog.at_level(logging.WARNING):
        assert len(load_all(folder, evolve(SMALL, strict=False))) == 18
    assert "bad.mp4" in caplog.text


def test_clips_before_a_broken_end_are_taken(folder, caplog):
    path = folder / "cats" / "1.mkv"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    with caplog.at_level(logging.WARNING):
        names = load_all(folder, SMALL).names
    assert "cats/1.mkv: its end is missing: of 0.960 s, 0." in caplog.text
    assert [name for name in names if name.startswith("cats/1")] == ["cats/1.mkv@0.000s", "cats/1.mkv@0.320s"]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.25)])
    with pytest.raises(DataError, match=r"cats/1\.mkv: .* shorter than a clip .* its end is missing"):
        load_all(folder, SMALL)


def test_damage_in_the_middle_is_an_error_and_near_the_end_a_warning(folder, caplog):
    films = [
        write(folder, evolve(KINDS["h264"], options={**KINDS["h264"].options, "g": "4"}), f"x/{i}.mp4") for i in (0, 1)
    ]
    damage(films[0], range(9, 11))
    damage(films[1], range(17, 19))
    with pytest.raises(DataError, match=r"1 file cannot be used\n  x/0\.mp4: damaged at 0\.\d+ s"):
        load_all(folder, SMALL)
    films[0].unlink()
    with caplog.at_level(logging.WARNING):
        names = load_all(folder, SMALL).names
    assert "x/1.mp4: damaged" in caplog.text
    assert "its first 2 clips before are taken" in caplog.text
    assert [name for name in names if name.startswith("x/")] == ["x/1.mp4@0.000s", "x/1.mp4@0.320s"]


@pytest.mark.parametrize("strict", [True, False])
def test_frames_are_accounted_for_with_their_folder(strict, tmp_path):
    write(tmp_path, PLAIN)
    for name in ("good", "bad"):
        write_frames(tmp_path / name, 6)
    (tmp_path / "bad" / "1.png").write_bytes(b"nothing")
    with accounting() as account:
        if strict:
            with pytest.raises(DataError):
                load_all(tmp_path, evolve(SMALL, rate=6.0))
        else:
            load_all(tmp_path, evolve(SMALL, rate=6.0, strict=False))
    assert account.files_line() == (
        "files: 1 videos, 6 frames of videos; 7 left out (1 cannot be used, 6 in folders that cannot be used)"
    )


def test_frames_that_are_no_good_are_told(tmp_path):
    write_frames(tmp_path / "a", 6)
    Image.new("RGB", (32, 32)).save(tmp_path / "a" / "3.png")
    with pytest.raises(
        DataError, match=r"a/3\.png: the size of frames changes from 64 x 48 to 32 x 32\. Fix: save all"
    ):
        load_all(tmp_path, SMALL)
    (tmp_path / "a" / "3.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a/3\.png: not a picture"):
        load_all(tmp_path, SMALL)


def test_limit_is_of_clips(folder):
    clips = load_all(folder, evolve(SMALL, limit=7))
    whole = load_all(folder, SMALL)
    assert len(clips) == 7
    for i, name in enumerate(clips.names):
        assert torch.equal(clips.batch([i]).values, whole.batch([whole.names.index(name)]).values)


def test_large_sets_are_kept_on_disk_and_not_decoded_again(folder, tmp_path, monkeypatch):
    plain = load_all(folder, SMALL)
    monkeypatch.setattr(decoded, "IN_MEMORY", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mapped = load_all(folder, SMALL)
    assert isinstance(mapped.grids[0].base, np.memmap) or isinstance(mapped.grids[0], np.memmap)
    assert mapped.fingerprint() == plain.fingerprint()
    monkeypatch.setattr("ddmi_video.reading.worker_process.read_clip", lambda *_: pytest.fail("decoded again"))
    assert load_all(folder, SMALL).fingerprint() == plain.fingerprint()


def test_one_file_is_read_as_its_first_clip(folder, tmp_path):
    signal = read(folder / "cats" / "1.mkv", SMALL)
    assert torch.equal(signal.values, load_all(folder, SMALL).batch([0]).values)
    with pytest.raises(DataError, match="a folder, not a video file"):
        read(folder, SMALL)
    with pytest.raises(DataError, match="no such file"):
        read(folder / "none.mp4", SMALL)
    with pytest.raises(DataError, match=r"short\.mkv: 0\.240 s is shorter than a clip"):
        read(write(tmp_path, evolve(PLAIN, stamps=range(6)), "short.mkv"), SMALL)


def test_missing_and_empty_places_are_told(tmp_path):
    with pytest.raises(DataError, match="--data PATH"):
        load(None, SMALL)
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "none", SMALL)
    with pytest.raises(DataError, match=r"contains no videos; accepted suffixes: \.mp4"):
        load(tmp_path, SMALL)
