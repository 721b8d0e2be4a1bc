"""Files of all depths, rates and channels are read as the sound that they hold; others are refused in a sentence."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from ddmi_audio.export import write_wav
from ddmi_audio.folder import read
from ddmi_audio.reading import facts, read_clip, resample
from ddmi_audio.settings import AudioSettings

from ddmi_core.errors import DataError
from ddmi_core.parts import StoredGrid

INNER = slice(60, -60)  # away from the ends, where the sine was cut off


@pytest.mark.parametrize(("depth", "exact"), [(8, 2**-7), (16, 2**-15), (24, 2**-23), (32, 2**-31)])
def test_samples_at_their_own_rate_are_the_written_ones(write_pcm, depth, exact):
    values = np.random.default_rng(0).uniform(-1, 1, 500)
    values[:2] = -1, 1
    path = write_pcm("a.wav", values, 8000, depth)
    (found,) = read_clip(path, "a.wav", 0.0, 500 / 8000, [500])
    assert np.abs(found - values).max() < exact


@pytest.mark.parametrize("rate", [1000, 8192, 11025, 44100, 192_000])
def test_a_written_file_comes_back(tmp_path, rate):
    values = np.random.default_rng(1).uniform(-1, 1, 256)
    path = tmp_path / "a.wav"
    grid = values[:, None].astype(np.float32)
    write_wav(StoredGrid(values=grid, size=(256,), extent=(256 / rate,)), path)
    found = facts(path, "a.wav")
    assert (found.rate, found.frames) == (rate, 256)
    signal = read(path, AudioSettings(samples=256, rate=rate, multiples=(1,)))
    assert torch.allclose(signal.values[0, 0], torch.from_numpy(values).float(), atol=1.01 / 32767)


@pytest.mark.parametrize(("own", "rate"), [(44100, 8192), (48000, 16384), (8000, 8192), (11025, 4096), (8192, 16384)])
def test_a_sine_that_both_rates_hold_is_resampled_to_the_closed_form(sine, own, rate):
    hertz = 0.36 * min(own, rate)
    times = (np.arange(rate // 8) + 0.5) / rate
    found = resample(sine(hertz, own // 8, own), own, times, rate)
    assert np.abs(found - sine(hertz, rate // 8, rate))[INNER].max() < 1e-3


@pytest.mark.parametrize(("own", "rate"), [(44100, 8192), (16384, 8192)])
def test_a_sine_above_the_new_rate_is_taken_out(sine, own, rate):
    times = (np.arange(rate // 8) + 0.5) / rate
    found = resample(sine(0.64 * rate, own // 8, own), own, times, rate)
    assert np.abs(found[INNER]).max() < 1e-3


def test_channels_are_mixed_down(write_pcm, sine):
    left, right = sine(300, 400, 8000), sine(700, 400, 8000)
    path = write_pcm("a.wav", np.stack([left, right], axis=1), 8000)
    (found,) = read_clip(path, "a.wav", 0.0, 0.05, [400])
    assert np.abs(found - (left + right) / 2).max() < 1e-4


def test_a_stretch_lies_where_it_was_asked_for(write_pcm, sine):
    path = write_pcm("a.wav", sine(250, 8000, 8000), 8000)
    native, finer = read_clip(path, "a.wav", 0.4, 0.1, [512, 1024])
    for found in (native, finer):
        times = 0.4 + (np.arange(len(found)) + 0.5) / len(found) * 0.1
        assert np.abs(found - 0.5 * np.sin(2 * np.pi * 250 * times)).max() < 1e-3


def small() -> AudioSettings:
    return AudioSettings(samples=256, rate=8000)


def test_levels_reach_as_far_as_the_files_rate(write_pcm, sine):
    slow, fast = (read(write_pcm(f"{r}.wav", sine(300, r, r), r), small()) for r in (8000, 44100))
    assert slow.finer == ()
    assert [level.shape[-1] for level in fast.levels()] == [256, 512]


def test_what_is_not_pcm_is_refused(tmp_path, write_pcm, sine):
    text, empty, floats = tmp_path / "text.wav", tmp_path / "empty.wav", tmp_path / "floats.wav"
    text.write_text("these are words, not samples")
    empty.write_bytes(b"")
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 8, b"WAVE", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32, b"data", 8
    )
    floats.write_bytes(head + struct.pack("<2f", 0.1, 0.2))
    for path, words in [(text, "not a WAV file"), (empty, "empty or cut off"), (floats, "convert it")]:
        with pytest.raises(DataError, match=words) as caught:
            read(path, small())
        assert str(path) in str(caught.value)


def test_what_is_too_short_or_cut_off_is_refused(write_pcm, sine, tmp_path):
    with pytest.raises(DataError, match=r"short.wav: 0.025 s is too short; a clip lasts 0.032 s.*domain.samples"):
        read(write_pcm("short.wav", sine(300, 200, 8000), 8000), small())
    whole = write_pcm("whole.wav", sine(300, 4000, 8000), 8000)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:400])
    with pytest.raises(DataError, match=r"cut.wav: cut off"):
        read(cut, small())
    none = write_pcm("none.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"none.wav: holds no samples"):
        read(none, small())


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "a.wav", small())
    with pytest.raises(DataError, match="a folder, not a WAV file"):
        read(tmp_path, small())
