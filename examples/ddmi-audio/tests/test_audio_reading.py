"""Files of all depths, rates and channels are read as the sound that they hold; others are refused in a sentence."""

from __future__ import annotations

import struct

import av
import numpy as np
import pytest
import torch
from ddmi_audio.export import write_wav
from ddmi_audio.folder import read
from ddmi_audio.reading import Facts, opened, read_clip, resample
from ddmi_audio.settings import AudioSettings

from ddmi_core.errors import DataError
from ddmi_core.parts import StoredGrid

INNER = slice(60, -60)  # away from the ends, where the sine was cut off


def facts(path) -> Facts:
    with path.open("rb") as file:
        return opened(file, path.name).facts


def clip(path, start, seconds, sizes):
    with path.open("rb") as file:
        return read_clip(opened(file, path.name), start, seconds, sizes)[0]


@pytest.mark.parametrize(("depth", "exact"), [(8, 2**-7), (16, 2**-15), (24, 2**-23), (32, 2**-31)])
def test_samples_at_their_own_rate_are_the_written_ones(write_pcm, depth, exact):
    values = np.random.default_rng(0).uniform(-1, 1, 500)
    values[:2] = -1, 1
    path = write_pcm("a.wav", values, 8000, depth)
    (found,) = clip(path, 0.0, 500 / 8000, [500])
    assert np.abs(found - values).max() < exact


@pytest.mark.parametrize("rate", [1000, 8192, 11025, 44100, 192_000])
def test_a_written_file_comes_back(tmp_path, rate):
    values = np.random.default_rng(1).uniform(-1, 1, 256)
    path = tmp_path / "a.wav"
    grid = values[:, None].astype(np.float32)
    write_wav(StoredGrid(values=grid, size=(256,), extent=(256 / rate,)), path)
    found = facts(path)
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
    (found,) = clip(path, 0.0, 0.05, [400])
    assert np.abs(found - (left + right) / 2).max() < 1e-4


def test_a_stretch_lies_where_it_was_asked_for(write_pcm, sine):
    path = write_pcm("a.wav", sine(250, 8000, 8000), 8000)
    native, finer = clip(path, 0.4, 0.1, [512, 1024])
    for found in (native, finer):
        times = 0.4 + (np.arange(len(found)) + 0.5) / len(found) * 0.1
        assert np.abs(found - 0.5 * np.sin(2 * np.pi * 250 * times)).max() < 1e-3


def small() -> AudioSettings:
    return AudioSettings(samples=256, rate=8000)


def test_levels_reach_as_far_as_the_files_rate(write_pcm, sine):
    slow, fast = (read(write_pcm(f"{r}.wav", sine(300, r, r), r), small()) for r in (8000, 44100))
    assert slow.finer == ()
    assert [level.shape[-1] for level in fast.levels()] == [256, 512]


def header(tag, channels, rate, width, size, extensible=False, riff=None):
    """The head of a WAV file, up to its samples."""
    align = channels * width
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * align, align, 8 * width)
    if extensible:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        form += struct.pack("<HHI", 22, 8 * width, 0) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + size if riff is None else riff) + body


@pytest.mark.parametrize(
    ("tag", "width", "extensible"),
    [(1, 2, True), (1, 3, True), (1, 4, True), (3, 4, False), (3, 8, False), (3, 4, True)],
)
def test_wav_of_all_kinds_holds_its_samples(tag, width, extensible, tmp_path):
    values = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    if tag == 3:
        raw = values.astype(f"<f{width}").tobytes()
    else:
        whole = np.rint(values * (2 ** (8 * width - 1) - 1)).astype("<i8")
        raw = whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    path = tmp_path / "a.wav"
    path.write_bytes(header(tag, 2, 8000, width, len(raw), extensible) + raw)
    (found,) = clip(path, 0.0, 500 / 8000, [500])
    assert np.abs(found - values.mean(axis=1)).max() < 2**-14


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F024, 0])
def test_a_wav_file_of_unknown_length_goes_to_its_end(size, tmp_path, sine):
    raw = (sine(300, 4000, 8000) * 32767).astype("<i2").tobytes()
    path = tmp_path / "piped.wav"
    path.write_bytes(header(1, 1, 8000, 2, size, riff=size) + raw)
    assert facts(path) == Facts(8000, 4000, 1, piped=True)
    found = clip(path, 0.4, 0.1, [800])[0][:-60]  # zeros follow the end
    assert np.abs(found - sine(300, 4000, 8000)[3200:-60]).max() < 1e-3


def encoded(path, values, codec, rate, sample_format):
    """A sound file of one channel, written by FFmpeg."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        stream.codec_context.format = sample_format
        frame = av.AudioFrame.from_ndarray(values[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        fifo = av.AudioFifo()
        for each in av.AudioResampler(format=sample_format, layout="mono", rate=rate).resample(frame):
            fifo.write(each)
        stream.codec_context.open()
        while part := fifo.read(stream.codec_context.frame_size or 1024, partial=True):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "exact"),
    [
        ("a.flac", "flac", "s16", 1e-4),
        ("a.aiff", "pcm_s16be", "s16", 1e-4),
        ("a.wav", "pcm_alaw", "s16", 0.02),
        ("a.mp3", "libmp3lame", "fltp", 0.05),
        ("a.ogg", "libopus", "flt", 0.05),
    ],
)
def test_other_kinds_are_decoded_in_place(name, codec, sample_format, exact, tmp_path, sine):
    wanted = sine(440, 48000, 48000)
    path = encoded(tmp_path / name, wanted, codec, 48000, sample_format)
    found = facts(path)
    assert found.rate == 48000
    assert 48000 <= found.frames < 48000 + 2000  # encoders fill the last block
    (values,) = clip(path, 0.5, 0.25, [12000])
    assert np.abs(values - wanted[24000:36000]).max() < exact


def test_channels_that_cancel_out_give_the_loudest_one(write_pcm, sine):
    values = sine(300, 400, 8000)
    path = write_pcm("a.wav", np.stack([0.9 * values, -values], axis=1), 8000)
    with path.open("rb") as file:
        (found,), changes = read_clip(opened(file, "a.wav"), 0.0, 0.05, [400])
    assert np.abs(found + values).max() < 1e-4
    assert [(change.what, change.values) for change in changes] == [
        ("taken from one channel, since the mean of all cancels out", {"channel": 1})
    ]


def test_samples_beyond_full_scale_are_cut_off_and_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(header(3, 1, 8000, 4, 1600) + np.full(400, 1.5, "<f4").tobytes())
    with path.open("rb") as file:
        (found,), changes = read_clip(opened(file, "a.wav"), 0.0, 0.05, [400])
    assert found.max() == 1
    assert [(change.what, change.amount) for change in changes] == [("cut off beyond full scale", 1.5)]
    path.write_bytes(header(3, 1, 8000, 4, 1600) + np.full(400, np.nan, "<f4").tobytes())
    with pytest.raises(DataError, match=r"a\.wav: has samples that are not finite"):
        read(path, small())


def test_what_is_no_sound_is_refused(tmp_path):
    text, empty, head = tmp_path / "text.wav", tmp_path / "empty.wav", tmp_path / "head.wav"
    text.write_text("these are words, not samples")
    empty.write_bytes(b"")
    head.write_bytes(header(1, 1, 8000, 2, 100)[:30])
    for path, words in [(text, "not a sound"), (empty, "is empty"), (head, "cut off before its samples")]:
        with pytest.raises(DataError, match=words) as caught:
            read(path, small())
        assert str(path) in str(caught.value)


def test_a_flac_file_that_is_cut_off_is_refused(tmp_path, sine):
    path = encoded(tmp_path / "a.flac", sine(440, 48000, 48000), "flac", 48000, "s16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"a\.flac: (cut off|not a sound)"):
        read(path, small())


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
    with pytest.raises(DataError, match="a folder, not a sound file"):
        read(tmp_path, small())
