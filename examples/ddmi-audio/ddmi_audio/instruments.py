"""Synthesis of four instruments and of bird calls, band-limited at any sampling rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import ConfigError, unknown_name

Array = npt.NDArray[np.floating[Any]]

ONSET = 0.012  # seconds of silence before a sound begins
FADE = 0.02  # seconds of fade-out at the end of a clip
TAPER = 0.8  # fraction of the highest frequency above which partials are attenuated, to zero at the highest
PEAK = 0.95
VIBRATO = 5.5  # hertz
CALL = 0.46  # seconds of a bird call
SCALE = (0, 2, 4, 7, 9)  # major pentatonic on C: C, D, E, G, A


@frozen(eq=False)
class Partials:
    """A sound as a sum of P sines with slowly varying frequencies and amplitudes, at n times."""

    cycles: Array  # (P, n), phase in cycles
    hertz: Array  # (P, n), its derivative
    amplitude: Array  # (P, n)

    def at_rate(self, rate: float) -> Array:
        """The sum `(n,)` of the partials below half a sampling rate."""
        room = np.clip((1 - 2 * self.hertz / rate) / (1 - TAPER), 0, 1)
        weight = np.sin(np.pi / 2 * room) ** 2
        return np.asarray((np.sin(2 * np.pi * self.cycles) * self.amplitude * weight).sum(axis=0))


@frozen
class Species:
    """Parameters that all calls of a species of bird share."""

    hertz: float
    syllables: int
    share: float  # fraction of a syllable's time that sounds
    glide: float  # relative change of frequency from start to end
    arch: float  # relative rise of frequency in the middle


SPECIES = (
    Species(587, 2, 0.85, glide=-0.3, arch=0.0),
    Species(659, 2, 0.6, glide=0.0, arch=0.25),
    Species(784, 3, 0.8, glide=0.35, arch=0.0),
    Species(880, 4, 0.65, glide=-0.15, arch=0.15),
    Species(1047, 3, 0.75, glide=0.1, arch=-0.2),
    Species(1175, 4, 0.8, glide=-0.2, arch=0.0),
)

Instrument = Callable[[Array, np.random.Generator], Partials]


def pitch(low: int, high: int, draw: np.random.Generator) -> float:
    """Frequency of a random note of the pentatonic scale between two MIDI numbers (69 is 440 Hz)."""
    notes = [note for note in range(low, high + 1) if note % 12 in SCALE]
    return float(440 * 2 ** ((draw.choice(notes) - 69) / 12))


def ringing(time: Array, hertz: Array, strength: Array, decay: Array) -> Partials:
    """Partials of constant frequency that start at time 0 and decay exponentially.

    Args:
        time: `(n,)`, in seconds.
        hertz: `(P,)`.
        strength: `(P,)`, relative amplitudes.
        decay: `(P,)`, in 1 / seconds.
    """
    after = np.clip(time, 0, None)
    strength = strength / np.abs(strength).sum()
    amplitude = strength[:, None] * np.exp(-decay[:, None] * after) * attack(time, 0.002)
    return Partials(hertz[:, None] * after, np.broadcast_to(hertz[:, None], amplitude.shape), amplitude)


def attack(time: Array, seconds: float) -> Array:
    """Smooth rise from 0 at time 0 to 1."""
    return np.asarray(np.sin(np.pi / 2 * np.clip(time / seconds, 0, 1)) ** 2)


def string(time: Array, draw: np.random.Generator) -> Partials:
    """A plucked string; the position and the softness of the pluck shape the overtones."""
    base, place, soft = pitch(40, 64, draw), draw.uniform(0.12, 0.42), draw.uniform(0.9, 1.9)
    stiffness, slow, fast = draw.uniform(0, 2e-4), draw.uniform(1.5, 5.0), draw.uniform(0.3, 1.2)
    n = np.arange(1, 25)
    hertz = base * n * np.sqrt(1 + stiffness * n**2)
    return ringing(time, hertz, np.sin(np.pi * n * place) / n**soft, slow + fast * (n - 1) ** 1.3)


def bell(time: Array, draw: np.random.Generator) -> Partials:
    """A minor-third bell: hum, prime, tierce, quint, nominal and higher partials."""
    base, bright, slow = pitch(57, 74, draw), draw.uniform(0.5, 1.6), draw.uniform(1.0, 4.0)
    ratio = np.array([0.5, 1.0, 1.183, 1.506, 2.0, 2.514, 2.662, 3.011, 4.166, 5.433, 6.796])
    strength = np.array([0.5, 0.8, 0.7, 0.25, 1.0, 0.3, 0.35, 0.45, 0.35, 0.25, 0.15])
    strength = strength * np.where(ratio > 2, bright / 2, 1) * draw.uniform(0.6, 1.4, len(ratio))
    return ringing(time, base * ratio, strength, slow * ratio**0.9)


def flute(time: Array, draw: np.random.Generator) -> Partials:
    """A flute or organ pipe: a soft attack, vibrato, and few overtones that grow with loudness."""
    base, bright, odd = pitch(60, 79, draw), draw.uniform(0.08, 0.5), draw.uniform(0.2, 1.0)
    depth, start = draw.uniform(0, 0.004), draw.uniform(0.02, 0.09)
    n = np.arange(1, 9)
    strength = bright ** (n - 1.0) * np.where(n % 2 == 0, odd, 1.0)
    after = np.clip(time, 0, None)
    swing = 1 - np.cos(2 * np.pi * VIBRATO * after)
    cycles = base * (after + depth * (after - np.sin(2 * np.pi * VIBRATO * after) / (2 * np.pi * VIBRATO)))
    loud = attack(time, start) * (1 - 30 * depth * swing)
    growth = loud ** (1 + 0.3 * (n[:, None] - 1))
    amplitude = (strength / strength.sum())[:, None] * growth
    return Partials(n[:, None] * cycles, n[:, None] * base * (1 + depth * swing), amplitude)


def drum(time: Array, draw: np.random.Generator) -> Partials:
    """A drum: modes of a circular membrane whose pitch falls after the stroke."""
    base, bend, fall = pitch(36, 52, draw), draw.uniform(0.1, 0.6), 25.0
    bright, slow = draw.uniform(0.15, 0.8), draw.uniform(6, 16)
    ratio = np.array([1, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600, 4.060])  # zeros of Bessel functions
    strength = np.where(ratio > 1, bright / ratio, 1.0) * draw.uniform(0.5, 1.0, len(ratio))
    sound = ringing(time, base * ratio, strength, slow * ratio)
    after = np.clip(time, 0, None)
    cycles = base * ratio[:, None] * (after + bend * (1 - np.exp(-fall * after)) / fall)
    return Partials(cycles, base * ratio[:, None] * (1 + bend * np.exp(-fall * after)), sound.amplitude)


def bird(time: Array, draw: np.random.Generator) -> Partials:
    """A bird call: a few whistles with the glide of the species and random loudness."""
    kind, second = SPECIES[draw.integers(len(SPECIES))], draw.uniform(0.02, 0.25)
    loudness = draw.uniform(0.3, 1.0, kind.syllables)
    every = CALL / kind.syllables
    length = every * kind.share
    place = np.clip(time, 0, None) / every
    within = np.clip(place % 1 / kind.share, 0, 1)
    # The frequency in a syllable is hertz (1 + glide (x - 1/2) + arch sin(pi x)), with x from 0 to 1.
    cycles = within * (1 - kind.glide / 2) + kind.glide * within**2 / 2
    cycles = kind.hertz * length * (cycles + kind.arch * (1 - np.cos(np.pi * within)) / np.pi)
    hertz = kind.hertz * (1 + kind.glide * (within - 0.5) + kind.arch * np.sin(np.pi * within))
    inside = (time > 0) & (place < kind.syllables)
    loud = loudness[np.clip(place, 0, kind.syllables - 1).astype(int)] * np.sin(np.pi * within) ** 2 * inside
    strength = np.array([[1 - second], [second]])
    return Partials(np.array([[1], [2]]) * cycles, np.array([[1], [2]]) * hertz, strength * loud)


MADE_BY: dict[str, Instrument] = {"string": string, "bell": bell, "flute": flute, "drum": drum, "bird": bird}


def sound(name: str, samples: int, rate: float) -> Array:
    """A sound `(samples,)` in [-1, 1] at the centres of its samples, band-limited to half the rate.

    Args:
        name: instrument and number, `"bell 17"`; a name stands for the same sound at every rate.
        samples: number of samples.
        rate: samples per second.
    """
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    time = (np.arange(samples) + 0.5) / rate
    partials = MADE_BY[name.split()[0]](time - ONSET, draw)
    return PEAK * partials.at_rate(rate) * attack(samples / rate - time, FADE)


def check_instruments(names: Sequence[str]) -> None:
    """Check that instruments exist and are distinct.

    Raises:
        ConfigError: if not.
    """
    for name in names:
        if name not in MADE_BY:
            raise ConfigError(f"instruments: {unknown_name('instrument', name, MADE_BY)}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"instruments names each instrument once, and at least one of {', '.join(MADE_BY)}")
