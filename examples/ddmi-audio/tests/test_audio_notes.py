"""Sounds made by formulas: the same from the same name, held by the rate asked for, and one sound at every rate."""

from __future__ import annotations

import numpy as np
import pytest
from ddmi_audio.instruments import MADE_BY, sound
from ddmi_audio.notes import load
from ddmi_audio.settings import AudioSettings

from ddmi_core.errors import ConfigError

NAMES = [f"{instrument} {number}" for instrument in MADE_BY for number in range(3)]


def spectrum(values):
    """Power of each frequency bin, with a window that hides the ends."""
    return np.abs(np.fft.rfft(values * np.blackman(len(values)))) ** 2


def test_the_same_name_is_the_same_sound():
    settings = AudioSettings(samples=512, rate=4096, count=6)
    first, second = load(None, settings), load(None, settings)
    assert first.train.fingerprint() == second.train.fingerprint()
    more = load(None, AudioSettings(samples=512, rate=4096, count=9))
    assert set(first.held_out.names) <= set(more.held_out.names)
    assert not np.array_equal(sound("bell 1", 512, 4096), sound("bell 2", 512, 4096))


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_stays_in_range_and_is_not_silence(name):
    values = sound(name, 8192, 16384)
    assert np.abs(values).max() <= 1
    assert np.abs(values).max() > 0.2
    assert np.abs(values[:150]).max() < 1e-9  # nothing before the onset
    assert np.abs(values[-3:]).max() < 1e-3


@pytest.mark.parametrize("rate", [4096, 8192, 16384])
@pytest.mark.parametrize("name", NAMES)
def test_a_sound_has_next_to_nothing_at_the_highest_frequency(name, rate):
    power = spectrum(sound(name, rate // 2, rate))
    assert power[-len(power) // 40 :].sum() < 1e-3 * power.sum() + 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_a_finer_level_is_the_same_sound_below_the_coarser_ones_highest_frequency(name):
    coarse, fine = sound(name, 4096, 8192), sound(name, 8192, 16384)
    bins = np.arange(int(0.39 * 4096))
    # Samples lie at the centres of their stretches, so the grids are a quarter of a coarse sample apart.
    shift = np.exp(-2j * np.pi * bins * (0.5 / 4096 - 0.5 / 8192))
    ours, theirs = np.fft.rfft(coarse)[bins] * shift, np.fft.rfft(fine)[bins] / 2
    assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs)


def test_a_finer_level_has_more_detail():
    begin = spectrum(sound("string 7", 8192, 16384)[:2048])
    assert begin[512:].sum() > 1e-4 * begin.sum()  # above the highest frequency of the native level


@pytest.mark.parametrize(("name", "low", "high"), [("string", 80, 335), ("flute", 255, 790), ("drum", 60, 330)])
def test_the_strongest_frequency_is_in_the_instruments_range(name, low, high):
    for number in range(4):
        strongest = spectrum(sound(f"{name} {number}", 4096, 8192)).argmax() * 2
        assert low < strongest < 3 * high


def test_unknown_instruments_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'bell'"):
        AudioSettings(instruments=("bel",))
    with pytest.raises(ConfigError, match="at least one of"):
        AudioSettings(instruments=())
