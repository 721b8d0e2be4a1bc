"""The default data: notes of five instruments and calls of birds, made by formulas at any sampling rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_audio.settings import AudioSettings
from ddmi_core.api import Split
from ddmi_core.parts import GridSet

Array = npt.NDArray[np.floating[Any]]

ONSET = 0.012  # seconds of silence before a sound begins
FADE = 0.02  # seconds at the end of a clip in which it fades
TAPER = 0.8  # share of the highest frequency from which on partials get weaker, down to none at the highest
PEAK = 0.95


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


Instrument = Callable[[Array, np.random.Generator], Partials]


def pitch(low: int, high: int, draw: np.random.Generator) -> float:
    """Frequency of a note between two MIDI numbers, 69 is 440 Hz."""
    return float(440 * 2 ** ((draw.integers(low, high + 1) - 69) / 12))


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
    base, place, soft = pitch(45, 69, draw), draw.uniform(0.12, 0.42), draw.uniform(0.9, 1.9)
    stiffness, slow, fast = draw.uniform(0, 2e-4), draw.uniform(1.5, 5.0), draw.uniform(0.3, 1.2)
    n = np.arange(1, 25)
    hertz = base * n * np.sqrt(1 + stiffness * n**2)
    return ringing(time, hertz, np.sin(np.pi * n * place) / n**soft, slow + fast * (n - 1) ** 1.3)


def bell(time: Array, draw: np.random.Generator) -> Partials:
    """A bell with the partials of the minor third: hum, prime, tierce, quint, nominal and above."""
    base, bright, slow = pitch(60, 79, draw), draw.uniform(0.5, 1.6), draw.uniform(1.0, 4.0)
    ratio = np.array([0.5, 1.0, 1.183, 1.506, 2.0, 2.514, 2.662, 3.011, 4.166, 5.433, 6.796])
    strength = np.array([0.5, 0.8, 0.7, 0.25, 1.0, 0.3, 0.35, 0.45, 0.35, 0.25, 0.15])
    strength = strength * np.where(ratio > 2, bright / 2, 1) * draw.uniform(0.6, 1.4, len(ratio))
    return ringing(time, base * ratio, strength, slow * ratio**0.9)


def flute(time: Array, draw: np.random.Generator) -> Partials:
    """A flute or organ pipe: a soft beginning, vibrato, and few overtones that grow with loudness."""
    base, bright, odd = pitch(60, 84, draw), draw.uniform(0.08, 0.5), draw.uniform(0.2, 1.0)
    depth, beat, start = draw.uniform(0, 0.006), draw.uniform(4.5, 6.5), draw.uniform(0.02, 0.09)
    n = np.arange(1, 9)
    strength = bright ** (n - 1.0) * np.where(n % 2 == 0, odd, 1.0)
    after = np.clip(time, 0, None)
    swing = 1 - np.cos(2 * np.pi * beat * after)
    cycles = base * (after + depth * (after - np.sin(2 * np.pi * beat * after) / (2 * np.pi * beat)))
    loud = attack(time, start) * (1 - 0.12 * depth / 0.006 * swing)
    growth = loud ** (1 + 0.3 * (n[:, None] - 1))
    amplitude = (strength / strength.sum())[:, None] * growth
    return Partials(n[:, None] * cycles, n[:, None] * base * (1 + depth * swing), amplitude)


def drum(time: Array, draw: np.random.Generator) -> Partials:
    """A drum: the modes of a circular membrane, whose tension and pitch fall after the stroke."""
    base, bend, fall = pitch(36, 52, draw), draw.uniform(0.1, 0.9), draw.uniform(12, 35)
    bright, slow = draw.uniform(0.15, 0.8), draw.uniform(6, 16)
    ratio = np.array([1, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600, 4.060])  # zeros of Bessel functions
    strength = np.where(ratio > 1, bright / ratio, 1.0) * draw.uniform(0.5, 1.0, len(ratio))
    sound = ringing(time, base * ratio, strength, slow * ratio)
    after = np.clip(time, 0, None)
    cycles = base * ratio[:, None] * (after + bend * (1 - np.exp(-fall * after)) / fall)
    return Partials(cycles, base * ratio[:, None] * (1 + bend * np.exp(-fall * after)), sound.amplitude)


def bird(time: Array, draw: np.random.Generator) -> Partials:
    """A bird's call: a few equal syllables, each a whistle that glides and swells."""
    base, glide = pitch(84, 96, draw), draw.uniform(-0.35, 0.45)
    arch, second = draw.uniform(-0.25, 0.25), draw.uniform(0.02, 0.2)
    count = int(draw.integers(2, 5))
    every, share = 0.46 / count, draw.uniform(0.55, 0.9)
    place = np.clip(time, 0, None) / every
    within = np.clip(place % 1 / share, 0, 1)
    inside = (time > 0) & (place < count) & (within < 1)
    # The frequency is base (1 + glide (x - 1/2) + arch sin(pi x)) at x from 0 to 1 in a syllable.
    length = every * share
    cycles = base * length * (within * (1 - glide / 2) + glide * within**2 / 2)
    cycles = cycles + base * length * arch * (1 - np.cos(np.pi * within)) / np.pi
    hertz = base * (1 + glide * (within - 0.5) + arch * np.sin(np.pi * within))
    loud = np.where(inside, np.sin(np.pi * within) ** 2, 0.0)
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


# --8<-- [start:load]
def load(location: None, settings: AudioSettings) -> Split:
    """Sounds of the instruments in `domain.instruments`, `domain.count` of each; the instrument is the class."""
    names = [f"{instrument} {number}" for instrument in settings.instruments for number in range(settings.count)]
    levels = []
    for factor in settings.factors:
        size, rate = settings.samples * factor, settings.rate * factor
        level = np.empty((len(names), 1, size), dtype=np.int16)
        for row, name in enumerate(names):
            level[row, 0] = np.rint(sound(name, size, rate) * 32767)
        levels.append(level)
    labels = [number for number, _ in enumerate(settings.instruments) for _ in range(settings.count)]
    return GridSet(levels, names, classes=settings.instruments, labels=labels).split(settings.held_out)


# --8<-- [end:load]
