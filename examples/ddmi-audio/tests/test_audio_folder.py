"""Folders of sounds are cut into clips, split by file, and say which of their files cannot be used."""

from __future__ import annotations

import shutil

import av
import numpy as np
import pytest
import torch
from ddmi_audio.folder import load
from ddmi_audio.settings import AudioSettings

from ddmi_core.errors import DataError
from ddmi_core.sources.account import accounting

SMALL = AudioSettings(samples=400, rate=8000, multiples=(1, 2), held_out=0.3)


@pytest.fixture
def sounds(write_pcm, sine, tmp_path):
    """Ten files, each of three and a half clips, in two folders."""
    for number in range(10):
        folder = "high" if number % 2 else "low"
        write_pcm(f"set/{folder}/{number}.wav", sine(200 + 40 * number, 2800, 16000), 16000, depth=8 * (1 + number % 4))
    return tmp_path / "set"


def test_files_are_cut_into_clips_and_folders_are_classes(sounds):
    split = load(sounds, SMALL)
    assert len(split.train) + len(split.held_out) == 30
    assert split.train.classes == ("high", "low")
    assert "low/0.wav 0.05 s" in (*split.train.names, *split.held_out.names)
    assert [level.shape[1:] for level in split.train.batch([0]).levels()] == [(1, 400), (1, 800)]


def test_a_clip_holds_its_stretch_of_the_file(sounds):
    split = load(sounds, SMALL)
    signals, index = next(
        (s, s.names.index("low/4.wav 0.05 s")) for s in (split.train, split.held_out) if "low/4.wav 0.05 s" in s.names
    )
    times = 0.05 + (torch.arange(400) + 0.5) / 8000
    wanted = 0.5 * torch.sin(2 * torch.pi * 360 * times)
    assert (signals.batch([index]).values[0, 0] - wanted).abs().max() < 0.01


def test_what_is_done_to_a_clip_is_recorded(write_pcm, sine, tmp_path):
    write_pcm("set/a.wav", np.stack([sine(300, 3200, 16000)] * 2, axis=1), 16000)
    write_pcm("set/b.wav", sine(300, 1600, 8000), 8000)
    with accounting() as account:
        load(tmp_path / "set", SMALL)
    changes = {change.what: change.amount for change in account.changes["a.wav 0.05 s"]}
    assert changes == {"mixed down to mono": 2, "resampled to 8000 Hz": 16000}
    assert not any(name.startswith("b.wav") for name in account.changes)


def test_clips_of_other_kinds_are_those_of_the_same_wav_file(write_pcm, sine, tmp_path):
    wav = write_pcm("wav/a.wav", sine(301, 4000, 8000), 8000)
    flac = tmp_path / "flac" / "a.flac"
    flac.parent.mkdir()
    with av.open(str(wav)) as old, av.open(str(flac), "w") as new:
        stream = new.add_stream("flac", rate=8000, layout="mono")
        for frame in old.decode(audio=0):
            new.mux(stream.encode(frame))
        new.mux(stream.encode(None))
    found = []
    for place in (wav, flac):
        split = load(place.parent, SMALL)
        parts = [
            (n.split(maxsplit=1)[1], s.batch([i])) for s in (split.train, split.held_out) for i, n in enumerate(s.names)
        ]
        found.append({start: signal.values for start, signal in parts})
    assert len(found[0]) == 10
    assert all(torch.allclose(values, found[1][start], atol=1e-4) for start, values in found[0].items())


def test_all_clips_of_a_file_are_on_one_side_of_the_split(sounds):
    split = load(sounds, SMALL)
    files = [{name.rsplit(" ", 2)[0] for name in part.names} for part in (split.train, split.held_out)]
    assert files[1]
    assert not files[0] & files[1]


def test_one_file_is_split_by_clips(write_pcm, sine, tmp_path):
    write_pcm("one/long.wav", sine(300, 16000, 8000), 8000)
    split = load(tmp_path / "one", SMALL)
    assert len(split.held_out) > 0
    assert len(split.train) + len(split.held_out) == 40
    assert split.train.batch([0]).finer == ()


def test_levels_go_as_far_as_the_slowest_file(sounds, write_pcm, sine):
    write_pcm("set/low/slow.wav", sine(300, 1000, 8000), 8000)
    assert load(sounds, SMALL).train.batch([0]).finer == ()


def test_an_archive_is_read_like_its_folder(sounds, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", sounds)
    assert load(tmp_path / archive, SMALL).train.fingerprint() == load(sounds, SMALL).train.fingerprint()


def test_limit_takes_some_of_the_files(sounds):
    split = load(sounds, AudioSettings(samples=400, rate=8000, limit=4))
    assert len(split.train) + len(split.held_out) == 12


def test_a_bad_file_stops_and_names_itself_or_is_left_out(sounds, caplog):
    (sounds / "low" / "bad.wav").write_text("no samples here")
    whole = (sounds / "high" / "1.wav").read_bytes()
    (sounds / "high" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"low/bad.wav: not a sound") as caught:
        load(sounds, SMALL)
    assert "domain.strict=false" in str(caught.value)
    split = load(sounds, AudioSettings(samples=400, rate=8000, strict=False))
    names = [*split.train.names, *split.held_out.names]
    assert not any("bad" in name for name in names)
    assert "cut off" in caplog.text


def test_nothing_to_use_is_refused(tmp_path, write_pcm):
    with pytest.raises(DataError, match="--data PATH"):
        load(None, SMALL)
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "missing", SMALL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains no sounds"):
        load(tmp_path / "empty", SMALL)
    write_pcm("short/a.wav", np.zeros(10), 8000)
    with pytest.raises(DataError, match="none of its sounds"):
        load(tmp_path / "short", AudioSettings(samples=400, rate=8000, strict=False))
