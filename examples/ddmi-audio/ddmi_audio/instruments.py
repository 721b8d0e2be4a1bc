"""Four instruments and the calls of birds as formulas, at any sampling rate."""

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
FADE = 0.02  # seconds at the end of a clip in which it fades
TAPER = 0.8  # share of the highest frequency from which on partials get weaker, down to none at the highest
PEAK = 0.95
VIBRATO = 5.5  # hertz
CALL = 0.46  # seconds of a bird's call
SCALE = (0, 2, 4, 7, 9)  # pentatonic on C, whose notes sound well together: C, D, E, G, A


@frozen(eq=False)
class Partials:
    """A sound as a sum of sines whose frequencies and amplitudes change slowly: P partials at n times."""

    cycles: Array  # (P, n), phase in cycles
    hertz: Array  # (P, n), its derivative
    amplitude: Array  # (P, n)

    def at_rate(self, rate: float) -> Array:
        """The sum `(n,)` of what a sampling rate can hold."""
        room = np.clip((1 - 2 * self.hertz / rate) / (1 - TAPER), 0, 1)
        weight = np.sin(np.pi / 2 * room) ** 2
        return np.asarray((np.sin(2 * np.pi * self.cycles) * self.amplitude * weight).sum(axis=0))


@frozen
class Species:
    """What all calls of a kind of bird share."""

    hertz: float
    syllables: int
    share: float  # of a syllable's time in which it sounds
    glide: float  # change of frequency from beginning to end, as a share of it
    arch: float  # rise in the middle, as a share of the frequency


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
    """Frequency of a note of the pentatonic scale between two MIDI numbers, 69 is 440 Hz."""
    notes = [note for note in range(low, high + 1) if note % 12 in SCALE]
    return float(440 * 2 ** ((draw.choice(notes) - 69) / 12))


def ringing(time: Array, hertz: Array, strength: Array, decay: Array) -> Partials:
    """Partials of fixed frequencies that are struck at time 0 and decay.

    Args:
        time: `(n,)`, in seconds.
        hertz: `(P,)`.
        strength: `(P,)`, in proportion.
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
    """A plucked string: where it is plucked and how soft the finger is shape the overtones."""
    base, place, soft = pitch(40, 64, draw), draw.uniform(0.12, 0.42), draw.uniform(0.9, 1.9)
    stiffness, slow, fast = draw.uniform(0, 2e-4), draw.uniform(1.5, 5.0), draw.uniform(0.3, 1.2)
    n = np.arange(1, 25)
    hertz = base * n * np.sqrt(1 + stiffness * n**2)
    return ringing(time, hertz, np.sin(np.pi * n * place) / n**soft, slow + fast * (n - 1) ** 1.3)


def bell(time: Array, draw: np.random.Generator) -> Partials:
    """A bell with the partials of the minor third: hum, prime, tierce, quint, nominal and above."""
    base, bright, slow = pitch(57, 74, draw), draw.uniform(0.5, 1.6), draw.uniform(1.0, 4.0)
    ratio = np.array([0.5, 1.0, 1.183, 1.506, 2.0, 2.514, 2.662, 3.011, 4.166, 5.433, 6.796])
    strength = np.array([0.5, 0.8, 0.7, 0.25, 1.0, 0.3, 0.35, 0.45, 0.35, 0.25, 0.15])
    strength = strength * np.where(ratio > 2, bright / 2, 1) * draw.uniform(0.6, 1.4, len(ratio))
    return ringing(time, base * ratio, strength, slow * ratio**0.9)


def flute(time: Array, draw: np.random.Generator) -> Partials:
    """A flute or organ pipe: a soft beginning, vibrato, and few overtones that grow with loudness."""
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
    """A drum: the modes of a circular membrane, whose tension and pitch fall after the stroke."""
    base, bend, fall = pitch(36, 52, draw), draw.uniform(0.1, 0.6), 25.0
    bright, slow = draw.uniform(0.15, 0.8), draw.uniform(6, 16)
    ratio = np.array([1, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600, 4.060])  # zeros of Bessel functions
    strength = np.where(ratio > 1, bright / ratio, 1.0) * draw.uniform(0.5, 1.0, len(ratio))
    sound = ringing(time, base * ratio, strength, slow * ratio)
    after = np.clip(time, 0, None)
    cycles = base * ratio[:, None] * (after + bend * (1 - np.exp(-fall * after)) / fall)
    return Partials(cycles, base * ratio[:, None] * (1 + bend * np.exp(-fall * after)), sound.amplitude)


def bird(time: Array, draw: np.random.Generator) -> Partials:
    """A bird's call: a few whistles that glide as the species has it, each as loud as the bird pleases."""
    kind, second = SPECIES[draw.integers(len(SPECIES))], draw.uniform(0.02, 0.25)
    loudness = draw.uniform(0.3, 1.0, kind.syllables)
    every = CALL / kind.syllables
    length = every * kind.share
    place = np.clip(time, 0, None) / every
    within = np.clip(place % 1 / kind.share, 0, 1)
    # The frequency is hertz (1 + glide (x - 1/2) + arch sin(pi x)) at x from 0 to 1 in a syllable.
    cycles = within * (1 - kind.glide / 2) + kind.glide * within**2 / 2
    cycles = kind.hertz * length * (cycles + kind.arch * (1 - np.cos(np.pi * within)) / np.pi)
    hertz = kind.hertz * (1 + kind.glide * (within - 0.5) + kind.arch * np.sin(np.pi * within))
    inside = (time > 0) & (place < kind.syllables)
    loud = loudness[np.clip(place, 0, kind.syllables - 1).astype(int)] * np.sin(np.pi * within) ** 2 * inside
    strength = np.array([[1 - second], [second]])
    return Partials(np.array([[1], [2]]) * cycles, np.array([[1], [2]]) * hertz, strength * loud)


MADE_BY: dict[str, Instrument] = {"string": string, "bell": bell, "flute": flute, "drum": drum, "bird": bird}


def sound(name: str, samples: int, rate: float) -> Array:
    """A sound `(samples,)` in [-1, 1], seen at the centres of its samples, without frequencies above half the rate.

    Args:
        name: instrument and number, `"bell 17"`; the same name is the same sound at every rate.
        samples: how many.
        rate: samples a second.
    """
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    time = (np.arange(samples) + 0.5) / rate
    partials = MADE_BY[name.split()[0]](time - ONSET, draw)
    return PEAK * partials.at_rate(rate) * attack(samples / rate - time, FADE)


def check_instruments(names: Sequence[str]) -> None:
    """See that instruments exist, and that each is named once.

    Raises:
        ConfigError: if not.
    """
    for name in names:
        if name not in MADE_BY:
            raise ConfigError(f"instruments: {unknown_name('instrument', name, MADE_BY)}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"instruments names each instrument once, and at least one of {', '.join(MADE_BY)}")
