"""Files say their rate, and pictures have one size for sounds of any length."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from ddmi_audio.export import BAND, HIGH, WIDE, picture, write_wav

from ddmi_core.parts import StoredGrid


def artefact(values, seconds: float) -> StoredGrid:
    grid = np.asarray(values, dtype=np.float32)[:, None]
    return StoredGrid(values=grid, size=(len(grid),), extent=(seconds,))


def test_a_file_has_the_rate_of_its_size(tmp_path):
    for size in (100, 400, 1000):
        write_wav(artefact(np.zeros(size), 0.1), tmp_path / "a.wav")
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (size * 10, size, 2)


def test_values_beyond_the_range_are_clipped(tmp_path):
    write_wav(artefact([-3, -1, 0, 1, 3], 0.001), tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert np.frombuffer(file.readframes(5), "<i2").tolist() == [-32767, -32767, 0, 32767, 32767]


def test_a_place_that_cannot_be_written_raises_os_error(tmp_path):
    with pytest.raises(OSError, match="missing"):
        write_wav(artefact([0, 0], 1), tmp_path / "missing" / "a.wav")


@pytest.mark.parametrize("samples", [1, 3, 100, 4096, 65536])
def test_pictures_have_one_size(samples):
    drawn = picture(artefact(np.sin(np.arange(samples)), 0.5))
    assert drawn.size == (WIDE, HIGH + BAND)


def test_a_higher_note_is_drawn_higher():
    def row(hertz: float) -> int:
        time = (np.arange(4096) + 0.5) / 8192
        pixels = np.asarray(picture(artefact(0.5 * np.sin(2 * np.pi * hertz * time), 0.5))).astype(int)
        return int(pixels[HIGH:].sum(axis=(1, 2)).argmax())

    rows = [row(hertz) for hertz in (200, 400, 800, 1600)]
    assert rows == sorted(rows, reverse=True)
    assert np.ptp(np.diff(rows)) <= 2  # octaves lie equally far apart


def test_the_waveform_shows_the_envelope():
    values = np.where(np.arange(4096) < 2048, np.sin(np.arange(4096)), 0)
    ink = (np.asarray(picture(artefact(values, 0.5)))[:HIGH].sum(axis=2) < 500).sum(axis=0)
    assert ink[:120].min() > 0.9 * HIGH
    assert ink[136:].max() <= 2
